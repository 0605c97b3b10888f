"""What the disk refuses: held, dropped from the oldest on, and told of in one event."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge_agent.core.statements import Statement
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.reserve import Reserve
from edge_agent.runtime.held_statements import HeldStatements
from event_protocol.codec import Accepted, decode_event
from event_protocol.events import (
    EventData,
    FeedbackChannel,
    FeedbackSubmitted,
    ObservationsDropped,
    PresenceObserved,
    PresenceState,
    ZoneRole,
)
from event_protocol.names import DeskId, DeviceId
from tests.processes.full_disk import no_file_grows_beyond

DEVICE, DESK = DeviceId("box-1"), DeskId("desk-1")
START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The log goes to a file, which can't grow either."""
    with capture_logs():
        yield


class LastRoom(Reserve):
    """There is room for it, or not."""

    has_room = True

    def hold(self) -> bool:
        return self.has_room and super().hold()


@pytest.fixture
def reserve(tmp_path: Path) -> LastRoom:
    return LastRoom(tmp_path, 1)


@pytest.fixture
def outbox(tmp_path: Path, reserve: LastRoom) -> Iterator[Outbox]:
    with Outbox(
        tmp_path, DEVICE, lambda *_: "A" * 86 + "==", lambda: START, reserve=reserve
    ) as opened:
        yield opened


def seen(minute: int) -> Statement:
    at = START + timedelta(minutes=minute)
    return Statement(
        DESK,
        at,
        PresenceObserved(
            zone="chair",
            role=ZoneRole.CITIZEN,
            state=PresenceState.EMPTY,
            since=at,
            confidence=1,
            observed_share=1,
        ),
    )


def rated() -> Statement:
    data = FeedbackSubmitted(channel=FeedbackChannel.CARD, digest="d" * 64)
    return Statement(DESK, START, data, sealed="k:c2Vh")


def stored(outbox: Outbox) -> list[EventData]:
    events = [decode_event(DEVICE, one.body) for one in outbox.read(1, outbox.tip.sequence)]
    return [event.event.data for event in events if isinstance(event, Accepted)]


def times(outbox: Outbox) -> list[int]:
    return [
        (data.since - START) // timedelta(minutes=1)
        for data in stored(outbox)
        if isinstance(data, PresenceObserved)
    ]


def test_what_is_held_comes_first_once_there_is_room(outbox: Outbox) -> None:
    held = HeldStatements(outbox, "room", 100)
    with no_file_grows_beyond(0):
        held.store([seen(0)], {"state": b"0"})
        held.store([seen(1)], {"state": b"1"})
        assert held.is_waiting
    held.store([seen(2)], {"state": b"2"})
    assert not held.is_waiting
    assert times(outbox) == [0, 1, 2]
    assert outbox.read_snapshot("state") == b"2"


def test_one_event_says_how_many_were_dropped_and_since_when(outbox: Outbox) -> None:
    held = HeldStatements(outbox, "room", 3)
    with no_file_grows_beyond(0):
        for minute in range(10):
            held.store([seen(minute)], {})
    held.store([seen(10)], {})
    held.store([seen(11)], {})
    told, *others = stored(outbox)
    assert told == ObservationsDropped(camera="room", count=7, since=START)
    assert times(outbox) == [7, 8, 9, 10, 11]
    assert len(others) == 5


def test_feedback_is_never_dropped_for_what_a_camera_saw(outbox: Outbox) -> None:
    held = HeldStatements(outbox, "room", 2)
    with no_file_grows_beyond(0):
        held.store([rated(), seen(0)], {})
        held.store([seen(1), seen(2), seen(3)], {})
    held.store([], {})
    kinds = [type(data) for data in stored(outbox)]
    assert kinds.count(FeedbackSubmitted) == 1
    assert times(outbox) == [3]


def test_feedback_does_not_wait_for_what_a_camera_saw(outbox: Outbox, reserve: LastRoom) -> None:
    reserve.has_room = False
    held = HeldStatements(outbox, "room", 100)
    held.store([seen(0), rated()], {})
    assert [type(data) for data in stored(outbox)] == [FeedbackSubmitted]
    reserve.has_room = True
    held.store([], {})
    assert times(outbox) == [0]
