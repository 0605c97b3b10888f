"""The AsyncAPI 3 document of the wire, generated from its models. Knows no broker."""

import inspect
from typing import Any, get_args

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from event_protocol.codec import encode_event
from event_protocol.events import SCHEMA_VERSION, Event
from event_protocol.examples import (
    DEVICE,
    SERVER_KEY,
    example_downlinks,
    example_events,
    example_status,
    example_telemetry,
)
from event_protocol.messages import (
    DeviceConfiguration,
    DeviceStatus,
    Receipt,
    SendClip,
    Telemetry,
    encode_message,
    encode_signed,
)
from event_protocol.names import NAME_PATTERN, DeviceId
from event_protocol.topics import FROM_DEVICE, Channel, topic_of

_SCHEMAS = "#/components/schemas/"
_MESSAGES = "#/components/messages/"
EVENT_MODELS: tuple[type[BaseModel], ...] = get_args(get_args(Event)[0])
SIGNED_MODELS = (Receipt, DeviceConfiguration, SendClip)

MODELS_OF_CHANNEL: dict[Channel, tuple[type[BaseModel], ...]] = {
    Channel.EVENTS: EVENT_MODELS,
    Channel.STATUS: (DeviceStatus,),
    Channel.TELEMETRY: (Telemetry,),
    Channel.RECEIPTS: (Receipt,),
    Channel.COMMANDS: (DeviceConfiguration, SendClip),
}

ABOUT_CHANNEL: dict[Channel, str] = {
    Channel.EVENTS: "One event a message, QoS 1, in sequence; sent again until receipted.",
    Channel.STATUS: "Retained birth and last will; an old will can't undo a newer boot's birth.",
    Channel.TELEMETRY: "Health now and then, QoS 0; losing one loses nothing.",
    Channel.RECEIPTS: "What the server has committed, signed; only this empties the outbox.",
    Channel.COMMANDS: "What the server asks of the device, signed.",
}


def make_document() -> dict[str, Any]:
    """The whole document, ready for JSON."""
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "One-stop desk watch: edge agents and central server",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": "MQTT 3.1.1, QoS 1. Events are CloudEvents 1.0 in canonical JSON "
            "(RFC 8785), numbered and hash-chained for each device and epoch. "
            "The view is the edge agent's: it sends events, it receives receipts.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.value: _channel(channel) for channel in Channel},
        "operations": {_operation_name(channel): _operation(channel) for channel in Channel},
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channel(channel: Channel) -> dict[str, Any]:
    names = [model.__name__ for model in MODELS_OF_CHANNEL[channel]]
    return {
        "address": topic_of(DeviceId("{device}"), channel),
        "description": ABOUT_CHANNEL[channel],
        "parameters": {"device": {"description": f"The device's name, {NAME_PATTERN}"}},
        "messages": {name: {"$ref": _MESSAGES + name} for name in names},
    }


def _operation_name(channel: Channel) -> str:
    return f"{'send' if channel in FROM_DEVICE else 'receive'}_{channel.value}"


def _operation(channel: Channel) -> dict[str, Any]:
    return {
        "action": "send" if channel in FROM_DEVICE else "receive",
        "channel": {"$ref": f"#/channels/{channel.value}"},
        "summary": ABOUT_CHANNEL[channel],
    }


def _messages() -> dict[str, Any]:
    examples = make_examples()
    return {
        model.__name__: {
            "title": _title(model),
            "summary": _summary(model),
            "payload": {"$ref": _SCHEMAS + model.__name__},
            "examples": [{"name": "example", "payload": examples[model.__name__]}],
        }
        for models in MODELS_OF_CHANNEL.values()
        for model in models
    }


def make_examples() -> dict[str, dict[str, Any]]:
    """One example of each message by the name of its model, as it stands on the wire."""
    payloads: dict[str, bytes] = {}
    for event in example_events():
        payloads[type(event).__name__] = encode_event(event)
    for message in (example_status(), example_telemetry()):
        payloads[type(message).__name__] = encode_message(message)
    for downlink in example_downlinks():
        payloads[type(downlink).__name__] = encode_signed(DEVICE, downlink, SERVER_KEY)
    return {name: orjson.loads(payload) for name, payload in payloads.items()}


def _title(model: type[BaseModel]) -> str:
    kind = model.model_fields.get("type")
    return str(kind.default) if kind else model.__name__


def _summary(model: type[BaseModel]) -> str:
    """The first line of the model's docstring; an event says what its data says."""
    data = model.model_fields.get("data")
    documented = model if data is None else data.annotation
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def _schemas() -> dict[str, Any]:
    every_model = [model for models in MODELS_OF_CHANNEL.values() for model in models]
    _, document = models_json_schema(
        [(model, "validation") for model in every_model], ref_template=_SCHEMAS + "{model}"
    )
    schemas: dict[str, Any] = document["$defs"]
    for schema in schemas.values():
        _require_discriminator(schema)
    for model in SIGNED_MODELS:
        _add_signature(schemas[model.__name__])
    return schemas


def _require_discriminator(schema: dict[str, Any]) -> None:
    """`type` or `kind` has a default for our own code; on the wire it tells messages apart."""
    told_apart_by = schema.get("properties", {}).keys() & {"type", "kind"}
    schema["required"] = [*schema.get("required", []), *told_apart_by]


def _add_signature(schema: dict[str, Any]) -> None:
    """On the wire a signed message has one more field, which `decode_signed` takes off."""
    schema["properties"]["signature"] = {
        "type": "string",
        "description": "Ed25519 (base64) of the server over purpose, device and content.",
        "pattern": "^[A-Za-z0-9+/]{86}==$",
    }
    schema["required"] = [*schema["required"], "signature"]
