"""What one message becomes: a row of the event log, or a misfit with its reason. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import orjson

from central_server.storage.events import StoredEvent
from central_server.storage.quarantine import Misfit
from event_protocol.canonical import canonical_bytes, sha256_hex
from event_protocol.codec import Accepted, Refused, Unreadable, decode_event
from event_protocol.events import EpochHead
from event_protocol.messages import MAX_MESSAGE_BYTES
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, parse_topic

# A box without a network may hold its events for weeks; one whose clock was never set says 1970.
OLDEST_HONEST = timedelta(days=90)
NEWEST_HONEST = timedelta(minutes=5)  # NTP keeps seconds; five minutes is a wrong clock

_MAX_REASON = 500
_STARTED = "onestop.device.started"
_SEALED_KEY = b'"sealed":'


@dataclass(frozen=True, slots=True)
class Incoming:
    """One MQTT message as it arrived."""

    topic: str
    payload: bytes


class Filed(NamedTuple):
    """A message and what it became."""

    message: Incoming
    entry: StoredEvent | Misfit


def file_message(message: Incoming, received_at: datetime) -> StoredEvent | Misfit:
    """The row that the message becomes; never raises for what a sender can send."""
    device = device_of(message.topic)
    if device is None:
        return misfit(message, "not a topic of events")
    if len(message.payload) > MAX_MESSAGE_BYTES:
        return misfit(message, f"too large: {len(message.payload)} bytes", device)
    decoded = decode_event(device, message.payload)
    if isinstance(decoded, Refused):
        return misfit(message, decoded.reason, device)
    if isinstance(decoded, Unreadable):
        return _occupant(decoded, received_at)
    return _readable(decoded, received_at)


@lru_cache(maxsize=4096)
def device_of(topic: str) -> DeviceId | None:
    """Whose events the topic carries; the same few topics come again and again."""
    parsed = parse_topic(topic)
    return parsed[0] if parsed is not None and parsed[1] is Channel.EVENTS else None


def misfit(message: Incoming, reason: str, device: str | None = None) -> Misfit:
    """A message without a position of its own."""
    return Misfit(
        topic=message.topic,
        payload=message.payload,
        sha256=sha256_hex(message.payload),
        kind="refused",
        reason=reason[:_MAX_REASON],
        device=device,
    )


def mark_clock(time: datetime, received_at: datetime) -> str:
    """Whether the device's clock can be right: `ok`, `future` or `past`."""
    late = received_at - time
    if late < -NEWEST_HONEST:
        return "future"
    return "past" if late > OLDEST_HONEST else "ok"


def previous_epoch(event_type: str | None, body: bytes) -> EpochHead | None:
    """Where an epoch's first event says that the one before it ended, if it says so.

    `event_type` as filed: only content that was readable then is believed.
    """
    if event_type != _STARTED:
        return None
    head = orjson.loads(body)["data"].get("previous_epoch")
    return None if head is None else EpochHead.model_validate(head)


def _readable(decoded: Accepted, received_at: datetime) -> StoredEvent:
    event, position, body, sealed = decoded.event, decoded.position, decoded.body, None
    if _SEALED_KEY in body:
        body, sealed = _without_sealed(body, decoded.hash)
    # By position: naming fourteen fields takes as long again, for each event.
    return StoredEvent(
        position.device,
        position.epoch,
        position.sequence,
        str(event.id),
        event.type,
        event.subject,
        event.time,
        received_at,
        mark_clock(event.time, received_at),
        None,
        event.prevhash,
        decoded.hash,
        body,
        sealed,
    )


def _occupant(decoded: Unreadable, received_at: datetime) -> StoredEvent:
    """Bad content at a readable position: the position is taken, its content unknown."""
    position = decoded.position
    body, sealed = _without_sealed(decoded.body, decoded.hash)
    return StoredEvent(
        device=position.device,
        epoch=position.epoch,
        sequence=position.sequence,
        event_id=_storable(decoded.event_id),
        type=None,
        desk=None,
        time=None,
        received_at=received_at,
        clock="ok",
        reason=_storable(decoded.reason[:_MAX_REASON]),
        prevhash=_storable(decoded.prevhash),
        hash=decoded.hash,
        body=body,
        sealed=sealed,
    )


def _without_sealed(body: bytes, digest: str) -> tuple[bytes, str | None]:
    """The bytes whose SHA-256 is `digest`, and the ciphertext that stood beside them."""
    if _SEALED_KEY not in body or sha256_hex(body) == digest:
        return body, None
    content = orjson.loads(body)
    sealed = content.pop("sealed")
    if sealed is not None and not isinstance(sealed, str):
        sealed = orjson.dumps(sealed).decode()
    return canonical_bytes(content), _storable(sealed)


def _storable(text: str | None) -> str | None:
    """PostgreSQL takes no NUL in a text; what the sender wrote stands in the bytes."""
    return None if text is None else text.replace("\0", "\ufffd")
