"""Reads as a script: (seconds, judgement) go in, (seconds since, state) come out."""

from datetime import UTC, datetime, timedelta

import pytest

from edge_agent.core.camera_state import MAX_GAP, OK, CameraTracker, Judgement
from event_protocol.events import CameraDetail, CameraObserved, CameraState, PictureShift
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
DARK = Judgement(CameraState.DARK)
COVERED = Judgement(CameraState.COVERED)
PARTLY = Judgement(CameraState.COVERED, CameraDetail.PARTLY)
MOVED = Judgement(CameraState.MOVED, shift=PictureShift(right=12, down=-3))
LOST = Judgement(CameraState.LOST)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
def tracker() -> CameraTracker:
    return CameraTracker("cam", (DeskId("desk-1"),))


def told(tracker: CameraTracker, *script: tuple[float, Judgement]) -> list[CameraObserved]:
    said: list[CameraObserved] = []
    for seconds, judged in script:
        for statement in tracker.observe(judged, at(seconds)):
            assert isinstance(statement.data, CameraObserved)
            said.append(statement.data)
    return said


def play(tracker: CameraTracker, *script: tuple[float, Judgement]) -> list[tuple[float, str]]:
    said = told(tracker, *script)
    return [((data.since - START).total_seconds(), data.state.value) for data in said]


@pytest.mark.parametrize("judged", [OK, DARK])
def test_the_first_judgement_is_stated_at_once(tracker: CameraTracker, judged: Judgement) -> None:
    assert not tracker.is_trusted
    assert play(tracker, (0, judged), (1, judged)) == [(0, judged.state)]
    assert tracker.is_trusted is (judged is OK)
    assert tracker.since == at(0)


def test_a_fault_must_last_and_then_began_when_it_first_showed(tracker: CameraTracker) -> None:
    assert play(tracker, (0, OK), (1, COVERED), (2, COVERED), (3, COVERED)) == [(0, "ok")]
    assert play(tracker, (3.5, COVERED), (4, COVERED)) == [(1, "covered")]


def test_who_passes_before_the_lens_is_a_doubt_and_no_fault(tracker: CameraTracker) -> None:
    play(tracker, (0, OK), (1, COVERED))
    assert tracker.is_trusted
    assert tracker.is_in_doubt
    assert tracker.pending_since == at(1)
    assert play(tracker, (2, OK), (3, COVERED), (4, OK)) == []
    assert not tracker.is_in_doubt
    assert tracker.pending_since is None


def test_a_fault_that_is_lost_sight_of_for_a_moment_is_told_no_later(
    tracker: CameraTracker,
) -> None:
    script = (0, OK), (1, COVERED), (2, COVERED), (3, OK), (4, COVERED), (5, COVERED)
    assert play(tracker, *script) == [(0, "ok")]
    assert play(tracker, (5.5, COVERED)) == [(4, "covered")], "since it was last seen to be good"


def test_good_pictures_that_last_end_a_doubt(tracker: CameraTracker) -> None:
    script = (0, OK), (1, COVERED), (3, COVERED), (4, OK), (5, OK), (6, COVERED), (8, COVERED)
    assert play(tracker, *script) == [(0, "ok")]
    assert play(tracker, (8.5, COVERED)) == [(6, "covered")]


def test_only_lasting_good_pictures_end_a_fault(tracker: CameraTracker) -> None:
    script = (0, COVERED), (1.5, OK), (2, COVERED), (3, OK), (3.9, OK), (4, OK)
    assert play(tracker, *script) == [(0, "covered"), (3, "ok")]


def test_while_good_pictures_last_their_beginning_is_pending(tracker: CameraTracker) -> None:
    play(tracker, (0, DARK), (1, OK))
    assert not tracker.is_trusted
    assert not tracker.is_in_doubt
    assert tracker.pending_since == at(1)
    play(tracker, (2, OK))
    assert tracker.is_trusted
    assert tracker.pending_since is None


def test_a_fault_is_called_what_most_of_its_pictures_were(tracker: CameraTracker) -> None:
    script = (0, OK), (1, MOVED), (1.5, PARTLY), (2.5, COVERED), (3.5, PARTLY)
    (_, stated) = told(tracker, *script)
    assert stated.state is CameraState.COVERED
    assert stated.detail is CameraDetail.PARTLY
    assert stated.shift is None


def test_a_moved_camera_says_how_far(tracker: CameraTracker) -> None:
    (_, stated) = told(tracker, (0, OK), (1, MOVED), (4, MOVED))
    assert stated.shift == PictureShift(right=12, down=-3)


def test_one_fault_may_turn_into_another_that_lasts(tracker: CameraTracker) -> None:
    script = (0, DARK), (1, COVERED), (2, DARK), (3, COVERED), (4, COVERED), (6, COVERED)
    assert play(tracker, *script) == [(0, "dark"), (3, "covered")]


def test_what_is_judged_late_may_have_begun_before(tracker: CameraTracker) -> None:
    frozen = Judgement(CameraState.FROZEN, since=at(2))
    assert play(tracker, (0, OK), (6.5, OK), (7, frozen)) == [(0, "ok"), (2, "frozen")]


def test_a_loss_counts_at_once_and_may_have_begun_before_it_became_clear(
    tracker: CameraTracker,
) -> None:
    play(tracker, (0, OK))
    (lost,) = tracker.observe(Judgement(CameraState.LOST, since=at(4)), at(9))
    assert lost.at == at(9)
    assert lost.data == CameraObserved(camera="cam", state=CameraState.LOST, since=at(4))


@pytest.mark.parametrize("seconds", [-3600, -1, MAX_GAP.total_seconds() + 6, 86_400])
def test_a_time_that_jumps_leaves_a_span_that_nobody_saw(
    tracker: CameraTracker, seconds: float
) -> None:
    play(tracker, (0, OK), (5, OK))
    then = 5 + seconds
    said = told(tracker, (then, OK), (then + 0.9, OK), (then + 1, OK))
    assert [data.state for data in said] == [CameraState.LOST, CameraState.OK]
    assert said[0].detail is CameraDetail.TIME_JUMP
    assert said[0].since == at(min(5, then))
    assert said[1].since == at(then)


def test_a_jump_while_the_camera_is_lost_is_nothing_new(tracker: CameraTracker) -> None:
    play(tracker, (0, OK), (5, LOST))
    assert play(tracker, (500, OK), (501, OK)) == [(500, "ok")]


def test_key_frames_ten_seconds_apart_are_no_jump(tracker: CameraTracker) -> None:
    assert play(tracker, *((10.1 * n, OK) for n in range(5))) == [(0, "ok")]


def test_every_desk_that_the_camera_sees_is_told() -> None:
    tracker = CameraTracker("cam", (DeskId("desk-1"), DeskId("desk-2")))
    assert [s.desk for s in tracker.observe(OK, at(0))] == ["desk-1", "desk-2"]
