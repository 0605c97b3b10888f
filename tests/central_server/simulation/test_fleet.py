"""A simulated device's events: decodable, contiguous, chained, sealed, signed and repeatable."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.public import PrivateKey

from central_server.simulation.fleet import (
    DeviceChain,
    FleetEvent,
    SimulatedDevice,
    device_key,
)
from central_server.simulation.habits import DISHONEST, HONEST
from central_server.simulation.visits import Span
from event_protocol.codec import Accepted, decode_event
from event_protocol.events import DeviceCheckpointEvent, FeedbackSubmittedEvent
from event_protocol.names import NO_HASH, DeskId, DeviceId, floor_to_quarter
from event_protocol.sealing import sealing_key_id, unseal
from event_protocol.signing import checkpoint_statement, is_signed

BOX = DeviceId("box-1")
FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
SEALING = PrivateKey.generate()
PUBLIC = bytes(SEALING.public_key)


def opening_of(_desk: DeskId, day: date) -> Sequence[Span]:
    if day.weekday() > 4:
        return ()
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return (Span(begin, begin + timedelta(hours=4)),)


@cache
def events_of(seed: int, days: int = 5) -> list[FleetEvent]:
    desks = ((DeskId("desk-1"), HONEST), (DeskId("desk-2"), DISHONEST))
    chain = DeviceChain(SimulatedDevice(BOX, desks), seed, FIRST_DAY, PUBLIC)
    return [
        event
        for number in range(days)
        for event in chain.make_day((FIRST_DAY + timedelta(days=number)).date(), opening_of)
    ]


def accepted_of(events: Sequence[FleetEvent]) -> list[Accepted]:
    decoded = [decode_event(BOX, event.payload) for event in events]
    assert all(isinstance(one, Accepted) for one in decoded)
    return [one for one in decoded if isinstance(one, Accepted)]


def test_events_are_accepted_numbered_and_chained() -> None:
    events = events_of(1)
    decoded = accepted_of(events)
    assert [one.position.sequence for one in decoded] == list(range(1, len(events) + 1))
    assert decoded[0].event.prevhash == NO_HASH
    assert all(b.event.prevhash == a.hash for a, b in pairwise(decoded))
    assert [one.hash for one in decoded] == [event.hash for event in events]
    assert len({one.event.id for one in decoded}) == len(events)


def test_the_same_seed_gives_the_same_chain() -> None:
    assert [e.hash for e in events_of.__wrapped__(1)] == [e.hash for e in events_of(1)]
    assert events_of(1)[-1].hash != events_of(2)[-1].hash


def test_checkpoints_are_signed_by_the_device() -> None:
    public = device_key(1, BOX).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    decoded = accepted_of(events_of(1))
    checkpoints = [o.event for o in decoded if isinstance(o.event, DeviceCheckpointEvent)]
    assert checkpoints
    for event in checkpoints:
        data = event.data
        statement = checkpoint_statement(BOX, event.epoch, data.through, data.hash)
        assert is_signed(statement, data.signature, public)


def test_feedback_can_be_opened_by_the_server_only_and_does_not_tell_when() -> None:
    keys = {sealing_key_id(PUBLIC): bytes(SEALING)}
    given = [
        one.event
        for one in accepted_of(events_of(1))
        if isinstance(one.event, FeedbackSubmittedEvent)
    ]
    assert given
    for event in given:
        assert event.sealed is not None
        content = unseal(event.sealed, event.data.digest, keys)
        assert event.time == floor_to_quarter(content.at)
        assert event.id.version == 4


def test_a_closed_day_says_nothing_and_an_outage_only_delays() -> None:
    assert not [e for e in events_of(1, days=7) if e.deliver_at >= FIRST_DAY + timedelta(days=5)]
    delays = [
        event.deliver_at - one.event.time
        for seed in range(3)
        for events in (events_of(seed),)
        for event, one in zip(events, accepted_of(events), strict=True)
        if not isinstance(one.event, FeedbackSubmittedEvent)
    ]
    assert min(delays) >= timedelta()
    assert max(delays) > timedelta(minutes=10)
    delivered = [event.deliver_at for event in events_of(3)]
    assert delivered == sorted(delivered)
