"""Reads as a script: (seconds, judgement) go in, (seconds since, state) come out."""

from datetime import UTC, datetime, timedelta

from edge_agent.core.camera_state import CameraTracker
from event_protocol.events import CameraObserved, CameraState
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
OK, DARK, COVERED, LOST = (
    CameraState.OK,
    CameraState.DARK,
    CameraState.COVERED,
    CameraState.LOST,
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def play(tracker: CameraTracker, *script: tuple[float, CameraState]) -> list[tuple[float, str]]:
    said: list[tuple[float, str]] = []
    for seconds, judged in script:
        for statement in tracker.observe(judged, at(seconds)):
            assert isinstance(statement.data, CameraObserved)
            said.append(((statement.data.since - START).total_seconds(), statement.data.state))
    return said


def test_the_first_judgement_is_stated_at_once() -> None:
    tracker = CameraTracker("cam", (DeskId("desk-1"),))
    assert not tracker.is_trusted
    assert play(tracker, (0, OK), (1, OK)) == [(0, OK)]
    assert tracker.is_trusted


def test_a_fault_counts_at_once_and_only_lasting_good_pictures_end_it() -> None:
    tracker = CameraTracker("cam", (DeskId("desk-1"),))
    script = (0, OK), (1, COVERED), (1.5, OK), (2, COVERED), (3, OK), (3.9, OK), (4, OK)
    assert play(tracker, *script) == [(0, OK), (1, COVERED), (3, OK)]


def test_one_fault_may_turn_into_another() -> None:
    tracker = CameraTracker("cam", (DeskId("desk-1"),))
    assert play(tracker, (0, DARK), (1, COVERED), (2, COVERED)) == [(0, DARK), (1, COVERED)]


def test_while_another_state_shows_itself_its_beginning_is_pending() -> None:
    tracker = CameraTracker("cam", (DeskId("desk-1"),))
    play(tracker, (0, DARK), (1, OK))
    assert not tracker.is_trusted
    assert tracker.pending_since == at(1)
    play(tracker, (2, OK))
    assert tracker.is_trusted
    assert tracker.pending_since is None


def test_a_loss_may_have_begun_before_it_became_clear() -> None:
    tracker = CameraTracker("cam", (DeskId("desk-1"),))
    play(tracker, (0, OK))
    (lost,) = tracker.observe(LOST, at(9), since=at(4))
    assert lost.at == at(9)
    assert lost.data == CameraObserved(camera="cam", state=LOST, since=at(4))


def test_every_desk_that_the_camera_sees_is_told() -> None:
    tracker = CameraTracker("cam", (DeskId("desk-1"), DeskId("desk-2")))
    assert [s.desk for s in tracker.observe(OK, at(0))] == ["desk-1", "desk-2"]
