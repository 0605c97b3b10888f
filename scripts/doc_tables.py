"""Markdown tables made from the code: the wire, the settings. Reads no file."""

import inspect
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from event_protocol import evidence
from event_protocol.asyncapi import ABOUT_CHANNEL, EVENT_MODELS, MODELS_OF_CHANNEL
from event_protocol.certificates import Authority, CertificateRequest, IssuedCertificate
from event_protocol.enrolment import BrokerAccess, Enrolment, EnrolmentRequest
from event_protocol.events import Envelope
from event_protocol.evidence import EvidenceReport
from event_protocol.evidence_keys import DataKey
from event_protocol.topics import FROM_DEVICE, Channel, topic_of

_WORDS = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    UUID: "UUID",
    Path: "path",
    datetime: "UTC time",
    Any: "anything",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(model: type) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())


def name_type(kind: Any) -> str:
    """A field's type in the words of the documents."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return name_type(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(name_type(part) for part in arguments if part is not NoneType)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        parts = [name_type(part) for part in arguments if part is not Ellipsis]
        return f"list of {parts[0]}" if Ellipsis in arguments else f"[{', '.join(parts)}]"
    if origin is dict:
        return f"{name_type(arguments[1])} by {name_type(arguments[0])}"
    if hasattr(kind, "__supertype__"):
        return name_type(kind.__supertype__)
    if kind in _WORDS:
        return _WORDS[kind]
    if issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    return f"`{kind.__name__}`"


def _presence(field: FieldInfo) -> str:
    return "yes" if field.is_required() else "no"


def field_table(model: type[BaseModel], leave_out: Sequence[str] = ()) -> str:
    """The fields of a model on the wire: name, type, whether it must be there."""
    return table(
        ("Field", "Type", "Must be there"),
        (
            (f"`{name}`", name_type(field.annotation), _presence(field))
            for name, field in model.model_fields.items()
            if name not in leave_out
        ),
    )


def topics() -> str:
    """Every topic with its direction and messages."""
    return table(
        ("Topic", "Direction", "Messages", "What"),
        (
            (
                f"`{topic_of('{device}', channel)}`",  # type: ignore[arg-type]  # a place for a name
                "edge → server" if channel in FROM_DEVICE else "server → edge",
                "events" if channel is Channel.EVENTS else _names(MODELS_OF_CHANNEL[channel]),
                ABOUT_CHANNEL[channel],
            )
            for channel in Channel
        ),
    )


def _names(models: Iterable[type[BaseModel]]) -> str:
    return ", ".join(f"`{model.__name__}`" for model in models)


def envelope() -> str:
    """The attributes that all events share."""
    return field_table(Envelope)


def event_types() -> str:
    """A section for each event type, with the fields of its `data`."""
    sections = []
    for model in EVENT_MODELS:
        data = model.model_fields["data"].annotation
        assert isinstance(data, type)  # noqa: S101 each event's data is one model
        subject = "a desk" if model.model_fields["subject"].is_required() else "none"
        more = "; with `sealed`" if "sealed" in model.model_fields else ""
        title = f"### `{model.model_fields['type'].default}`"
        sections.append(
            f"{title}\n\n{summary(data)} Subject: {subject}{more}.\n\n{field_table(data)}"
        )
    return "\n\n".join(sections)


def parts_and_messages() -> str:
    """A section for each model that is no event, down to the parts they are made of."""
    found = _with_parts(m for models in MODELS_OF_CHANNEL.values() for m in models)
    return _sections(
        model
        for model in found
        if model not in EVENT_MODELS and not any(_is_data(event, model) for event in EVENT_MODELS)
    )


def uploads() -> str:
    """How a box answers a request for pictures, as the module says it, and the report's fields."""
    about = (inspect.getdoc(evidence) or "").partition("\n\n")[2].rpartition("\n\n")[0]
    return f"{about}\n\n{_sections(_with_parts([EvidenceReport, DataKey]))}"


def pairing() -> str:
    """What a box and the server say to each other over HTTPS about keys and access."""
    return _sections(
        [
            Authority,
            EnrolmentRequest,
            Enrolment,
            BrokerAccess,
            CertificateRequest,
            IssuedCertificate,
        ]
    )


def _sections(models: Iterable[type[BaseModel]]) -> str:
    return "\n\n".join(f"### {m.__name__}\n\n{summary(m)}\n\n{field_table(m)}" for m in models)


def _with_parts(roots: Iterable[type[BaseModel]]) -> list[type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    for root in roots:
        _collect(root, found)
    return list(found.values())


def _is_data(event: type[BaseModel], model: type[BaseModel]) -> bool:
    return event.model_fields["data"].annotation is model


def _collect(model: type[BaseModel], found: dict[str, type[BaseModel]]) -> None:
    if model.__name__ in found:
        return
    found[model.__name__] = model
    for field in model.model_fields.values():
        for part in models_in(field.annotation):
            _collect(part, found)


def models_in(kind: Any) -> list[type[BaseModel]]:
    """The models that a field's type is made of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for part in get_args(kind) for model in models_in(part)]


def settings(model: type[BaseSettings]) -> str:
    """Every setting: name in the file, environment variable, default, meaning."""
    prefix = model.model_config.get("env_prefix", "")
    return table(
        ("Setting", "Variable", "Type", "Default", "Meaning"), _setting_rows(model, "", prefix)
    )


def _setting_rows(model: type[BaseModel], path: str, prefix: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        sections = models_in(field.annotation)
        in_list = get_origin(field.annotation) is tuple and bool(sections)
        if sections and not in_list:
            rows += _setting_rows(sections[0], f"{path}{name}.", prefix)
            continue
        in_item = "[]" in path  # has no variable of its own
        variable = (
            "–" if "[]" in path else f"`{prefix}{f'{path}{name}'.replace('.', '__').upper()}`"
        )
        meaning = field.description or ""
        rows.append(
            (
                f"`{path}{name}`",
                "–" if in_item else variable,
                name_type(field.annotation),
                _default(field),
                meaning,
            )
        )
        if in_list:
            rows += _setting_rows(sections[0], f"{path}{name}[].", prefix)
    return rows


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=False)
    if value is None or value is PydanticUndefined or value == () or value == "":
        return "empty"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
