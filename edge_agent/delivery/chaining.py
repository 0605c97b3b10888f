"""Statements become numbered, hash-chained events; pure but for the random ids."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import uuid6

from edge_agent.core.statements import Statement
from event_protocol.codec import encode_event, hash_event
from event_protocol.events import (
    EVENT_OF_DATA,
    SOURCE_PREFIX,
    DeviceCheckpoint,
    Event,
    FeedbackAmended,
    FeedbackSubmitted,
)
from event_protocol.names import DeviceId, floor_to_quarter


@dataclass(frozen=True, slots=True)
class ChainTip:
    """Where a device's chain stands; the next event is `sequence` + 1 and carries `hash`."""

    device: DeviceId
    epoch: int
    boot: int
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class ChainedEvent:
    """One event in the form in which it is stored and published."""

    sequence: int
    event_id: UUID
    body: bytes
    hash: str
    is_checkpoint: bool


def chain(
    tip: ChainTip,
    statements: Iterable[Statement],
    *,
    clock_offset_ms: int | None,
    event_id: UUID | None = None,
) -> tuple[ChainTip, list[ChainedEvent]]:
    """Number the statements from `tip` on; the new tip and the events.

    `event_id` replaces the random id of a single statement of feedback.
    """
    events: list[ChainedEvent] = []
    for statement in statements:
        event = _make_event(tip, statement, clock_offset_ms, event_id)
        body = encode_event(event)
        digest = hash_event(body)
        is_checkpoint = isinstance(statement.data, DeviceCheckpoint)
        events.append(ChainedEvent(event.sequence, event.id, body, digest, is_checkpoint))
        tip = replace(tip, sequence=event.sequence, hash=digest)
    return tip, events


def _make_event(
    tip: ChainTip, statement: Statement, clock_offset_ms: int | None, event_id: UUID | None
) -> Event:
    # An exact time, or a UUIDv7 which holds one, would tell who spoke.
    is_feedback = isinstance(statement.data, FeedbackSubmitted | FeedbackAmended)
    fields: dict[str, object] = {
        "id": event_id or (uuid4() if is_feedback else UUID(bytes=uuid6.uuid7().bytes)),
        "time": floor_to_quarter(statement.at) if is_feedback else statement.at,
        "source": SOURCE_PREFIX + tip.device,
        "subject": statement.desk,
        "sequence": tip.sequence + 1,
        "epoch": tip.epoch,
        "boot": tip.boot,
        "prevhash": tip.hash,
        "clockoffsetms": clock_offset_ms,
        "data": statement.data,
    }
    if statement.sealed is not None:
        fields["sealed"] = statement.sealed
    event: Event = EVENT_OF_DATA[type(statement.data)](**fields)
    return event
