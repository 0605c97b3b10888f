"""Events to bytes and back. Decoding never raises: what is not an event is named with its reason.

Old schema versions are upgraded here and nowhere else; version 1 is the first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from event_protocol.canonical import (
    NotCanonicalError,
    canonical_bytes,
    chained_hash,
    sha256_hex,
)
from event_protocol.events import SCHEMA_URN, SOURCE_PREFIX, Event
from event_protocol.names import MAX_INTEGER, DeviceId

MAX_EVENT_BYTES = 65_536  # the largest honest event (sealed comment and survey) stays below 16 KiB

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


@dataclass(frozen=True, slots=True)
class Position:
    """Where an event stands in its device's chain."""

    device: DeviceId
    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A valid event: its canonical bytes and the hash that its successor's prevhash says."""

    position: Position
    event: Event
    body: bytes
    hash: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The position can be read, the content can't: it occupies its position, bytes kept."""

    position: Position
    event_id: str | None
    prevhash: str | None
    body: bytes
    hash: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not even the position can be read, or it is another device's."""

    reason: str


def encode_event(event: Event) -> bytes:
    """Canonical bytes of an event, as published and stored."""
    return canonical_bytes(event.model_dump(mode="json", exclude_none=True))


def hash_event(body: bytes) -> str:
    """The chained hash of an event's canonical bytes."""
    return chained_hash(body, orjson.loads(body))


def decode_event(device: DeviceId, payload: bytes) -> Accepted | Unreadable | Refused:
    """What arrived on that device's topic."""
    if len(payload) > MAX_EVENT_BYTES:
        return Refused(f"too large: {len(payload)} bytes, at most {MAX_EVENT_BYTES}")
    try:
        parsed = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return Refused(f"not JSON: {error}")
    if not isinstance(parsed, dict):
        return Refused("not a JSON object")
    position = _read_position(device, parsed)
    if isinstance(position, Refused):
        return position
    try:
        body = canonical_bytes(parsed)
    except NotCanonicalError as error:
        return _unreadable(position, parsed, payload, sha256_hex(payload), error)
    if body == payload:
        body = payload  # the honest case: once in memory, and once in what is handed on
    digest = chained_hash(body, parsed)
    try:
        # Strict, and from the bytes: only JSON mode takes times and ids from text but no number
        # from text.
        event = _EVENT.validate_json(body, strict=True)
    except ValidationError as error:
        return _unreadable(position, parsed, body, digest, error)
    return Accepted(position, event, body, digest)


def _read_position(device: DeviceId, parsed: Mapping[str, Any]) -> Position | Refused:
    source, epoch, sequence = parsed.get("source"), parsed.get("epoch"), parsed.get("sequence")
    if not isinstance(source, str) or not source.startswith(SOURCE_PREFIX):
        return Refused("no readable source")
    if source != SOURCE_PREFIX + device:
        return Refused(f"source is not the topic's device {device}")
    if type(epoch) is not int or not 1 <= epoch <= MAX_INTEGER:
        return Refused("no readable epoch")
    if type(sequence) is not int or not 1 <= sequence <= MAX_INTEGER:
        return Refused("no readable sequence")
    return Position(device, epoch, sequence)


def _unreadable(
    position: Position,
    parsed: Mapping[str, Any],
    body: bytes,
    digest: str,
    error: ValidationError | NotCanonicalError,
) -> Unreadable:
    event_id, prevhash = (_text_or_none(parsed.get(name)) for name in ("id", "prevhash"))
    return Unreadable(position, event_id, prevhash, body, digest, _explain(parsed, error))


def _text_or_none(value: object) -> str | None:
    return value[:128] if isinstance(value, str) else None


def _explain(parsed: Mapping[str, Any], error: ValidationError | NotCanonicalError) -> str:
    """One line that says what is wrong, without repeating what the sender wrote."""
    schema = parsed.get("dataschema")
    if isinstance(schema, str) and schema != SCHEMA_URN:
        return f"unknown schema version: this server reads {SCHEMA_URN}"
    if isinstance(error, NotCanonicalError):
        return f"no canonical form: {error}"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"wrong schema: {where}: {first['type']}"
