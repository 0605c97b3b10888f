"""The last room on the disk: who gets it, and how it comes back."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit

import pytest
from structlog.testing import capture_logs

from edge_agent.core.statements import Statement
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.outbox_database import OutboxFullError
from edge_agent.delivery.reserve import FILE_NAME, Reserve
from event_protocol.events import (
    CameraObserved,
    CameraState,
    DeviceStarted,
    FeedbackChannel,
    FeedbackSubmitted,
    LastRun,
)
from event_protocol.names import DeskId, DeviceId
from tests.processes.full_disk import no_file_grows_beyond

AT = datetime(2026, 3, 2, 1, 7, tzinfo=UTC)
DESK = DeskId("desk-1")
ROOM = 1_000_000
SEEN = Statement(DESK, AT, CameraObserved(camera="room", state=CameraState.OK, since=AT))
RATED = Statement(
    DESK, AT, FeedbackSubmitted(channel=FeedbackChannel.KIOSK, digest="d" * 64), sealed="k:c2Vh"
)
STARTED = Statement(
    None, AT, DeviceStarted(agent_version="1", platform="x", last_run=LastRun.KILLED, desks=())
)


class LastRoom(Reserve):
    """Giving it up lets the kernel write on, as far as the room reaches; nobody makes more."""

    def give_up(self) -> bool:
        had_some = super().give_up()
        if had_some:
            setrlimit(RLIMIT_FSIZE, (ROOM, -1))
        return had_some


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The log goes to a file, which can't grow either."""
    with capture_logs():
        yield


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    reserve = LastRoom(tmp_path, ROOM)
    with Outbox(
        tmp_path, DeviceId("box-1"), lambda *_: "A" * 86 + "==", lambda: AT, reserve=reserve
    ) as opened:
        yield opened


def test_the_room_is_held_given_up_once_and_held_again(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, ROOM)
    assert reserve.hold()
    assert (tmp_path / FILE_NAME).stat().st_blocks * 512 >= ROOM
    assert reserve.give_up()
    assert not reserve.give_up()
    with no_file_grows_beyond(ROOM - 1):
        assert not reserve.hold()
    assert list(tmp_path.iterdir()) == []
    assert reserve.hold()


def test_on_a_full_disk_observations_give_way_and_feedback_is_stored(
    outbox: Outbox, tmp_path: Path
) -> None:
    outbox.append([SEEN])
    with no_file_grows_beyond((tmp_path / "outbox.sqlite-wal").stat().st_size):
        with pytest.raises(OutboxFullError):
            outbox.append([SEEN])
        assert (tmp_path / FILE_NAME).exists(), "what cameras see gets none of it"
        outbox.append([RATED])
        assert not (tmp_path / FILE_NAME).exists()
        setrlimit(RLIMIT_FSIZE, (ROOM - 1, -1))  # the others have left no room to hold again
        with pytest.raises(OutboxFullError, match="left for feedback"):
            outbox.append([SEEN])
        outbox.append([RATED])
    outbox.append([SEEN])
    assert (tmp_path / FILE_NAME).exists()
    assert outbox.tip.sequence == 4


def test_without_even_the_last_room_feedback_is_refused_visibly(
    outbox: Outbox, tmp_path: Path
) -> None:
    (tmp_path / FILE_NAME).unlink()
    with no_file_grows_beyond(0), pytest.raises(OutboxFullError):
        outbox.append([RATED])
    assert outbox.append([RATED])


def test_a_box_starts_on_a_full_disk(outbox: Outbox, tmp_path: Path) -> None:
    outbox.append([SEEN])
    with no_file_grows_beyond((tmp_path / "outbox.sqlite-wal").stat().st_size):
        assert outbox.append([STARTED])
        assert not (tmp_path / FILE_NAME).exists()
        outbox.append([RATED])
