"""Scripts of one zone: what differs, moves and stands out, and what that is taken for."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from edge_agent.core.zone_evidence import (
    STAYS_AFTER,
    THING_AFTER,
    Learn,
    Verdict,
    ZoneEvidence,
)
from edge_agent.core.zone_reading import ZoneReading
from event_protocol.events import PresenceState

START = datetime(2030, 1, 1, tzinfo=UTC)
OCCUPIED, EMPTY, UNKNOWN = PresenceState.OCCUPIED, PresenceState.EMPTY, PresenceState.UNKNOWN

PERSON = ZoneReading(0.4, moving=0.01, outline=0.5)
STILL = ZoneReading(0.4, outline=0.5)
BAG = ZoneReading(0.08, outline=0.2)
GONE = ZoneReading(0.3, outline=-0.3)
NOBODY = ZoneReading(0.0)
Script = tuple[float, float, ZoneReading]
T = THING_AFTER.total_seconds()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Zone:
    """A zone's evidence, and the state that follows from it."""

    def __init__(self, state: PresenceState, step: float = 0.5) -> None:
        self.evidence, self.state, self.step = ZoneEvidence(), state, step
        self.told: list[tuple[float, float, PresenceState]] = []
        self.lessons: list[tuple[float, Learn]] = []

    def see(self, *script: Script) -> "Zone":
        for second, reading in self._frames(script):
            verdict = self.evidence.weigh(reading, self.state, at(second))
            if isinstance(verdict, Verdict):
                self.state = verdict.state
                since = (verdict.since - START).total_seconds()
                self.told.append((second, since, verdict.state))
            if self.evidence.learn in (Learn.AT_ONCE, Learn.CONFIRMED):
                self.lessons.append((second, self.evidence.learn))
        return self

    def _frames(self, script: tuple[Script, ...]) -> Iterator[tuple[float, ZoneReading]]:
        for begin, end, reading in script:
            for number in range(round((end - begin) / self.step)):
                yield begin + number * self.step, reading


@pytest.mark.parametrize("step", [0.1, 0.5, 1])
def test_who_fidgets_once_a_minute_is_never_taken_for_a_thing(step: float) -> None:
    minutes = [
        (begin + offset, begin + end, reading)
        for begin in range(0, 3600, 60)
        for offset, end, reading in ((0, 1, PERSON), (1, 60, STILL))
    ]
    zone = Zone(OCCUPIED, step).see(*minutes)
    assert (zone.told, zone.lessons) == ([], [])


def test_a_thing_that_never_moved_is_never_somebody_and_becomes_part_of_the_room() -> None:
    zone = Zone(EMPTY).see((0, 5, NOBODY), (5, 5 + 2 * T, BAG))
    assert zone.told == []
    assert zone.lessons[0] == (T, Learn.AT_ONCE), "nothing has moved in the zone from the start"


def test_somebody_who_does_not_move_at_first_was_there_all_the_same() -> None:
    zone = Zone(EMPTY).see((0, 5, NOBODY), (5, 35, STILL), (35, 36, PERSON))
    assert zone.told == [(35, 5, OCCUPIED)]


def test_who_moves_only_on_arriving_was_a_thing() -> None:
    zone = Zone(EMPTY).see((0, 5, NOBODY), (5, 8, PERSON), (8, 8 + T, STILL))
    assert zone.told == [(6, 5, OCCUPIED), (7.5 + T, 7.5, EMPTY)]
    assert zone.lessons == [(7.5 + T, Learn.AT_ONCE)]


def test_what_is_left_of_a_stay_and_keeps_still_is_no_part_of_anybody() -> None:
    zone = Zone(OCCUPIED).see((0, 30, PERSON), (30, 40, BAG))
    assert zone.told == [(32.5, 29.5, EMPTY)]
    assert zone.lessons == [(32.5, Learn.AT_ONCE)]


def test_who_sits_down_after_standing_stays() -> None:
    seated = ZoneReading(0.2, outline=0.5)
    zone = Zone(OCCUPIED).see((0, 4, PERSON), (4, 60, seated))
    assert zone.told == []


def test_what_left_a_gap_in_the_reference_was_no_person() -> None:
    zone = Zone(EMPTY).see((0, 5, NOBODY), (5, 10, GONE))
    assert (zone.told, zone.lessons[0][1]) == ([], Learn.AT_ONCE)


def test_a_figure_of_another_zone_leaves_the_state_as_it_is() -> None:
    hidden = ZoneReading(0.01, is_hidden=True)
    assert Zone(OCCUPIED).see((0, 10, PERSON), (10, 60, hidden)).told == []
    assert Zone(EMPTY).see((0, 10, NOBODY), (10, 60, hidden)).told == []


def unsure(changed: float, moving: float = 0.0, outline: float = 0.0) -> ZoneReading:
    return ZoneReading(changed, moving, outline, is_calibrated=False)


def test_without_a_reference_a_moving_zone_is_occupied() -> None:
    zone = Zone(UNKNOWN).see((0, 10, unsure(0.02, moving=0.01)))
    assert zone.told == [(STAYS_AFTER.total_seconds(), 0, OCCUPIED)]
    assert zone.lessons == []


def test_without_a_reference_a_passer_by_says_nothing() -> None:
    zone = Zone(UNKNOWN).see((0, 3, unsure(0.0)), (3, 5, unsure(0.3, 0.3)), (5, 50, unsure(0.0)))
    assert zone.told == []


def test_who_leaves_shows_the_empty_zone() -> None:
    zone = Zone(UNKNOWN)
    zone.see((0, 10, unsure(0.02, 0.01)), (10, 12, unsure(0.4, outline=-0.3)))
    assert zone.told[1:] == [(11.5, 9.75, EMPTY)]
    assert zone.lessons[0] == (11.5, Learn.AT_ONCE)


def test_who_comes_and_leaves_proves_that_the_first_picture_was_empty() -> None:
    zone = Zone(UNKNOWN)
    zone.see((0, 10, unsure(0.0)), (10, 20, unsure(0.4, 0.02, 0.4)), (20, 22, unsure(0.0)))
    assert [state for _, _, state in zone.told] == [OCCUPIED, EMPTY]
    assert zone.lessons[0][1] is Learn.CONFIRMED


def test_a_zone_that_keeps_still_from_the_start_is_empty() -> None:
    zone = Zone(UNKNOWN).see((0, T + 5, unsure(0.0)))
    assert zone.told == [(T, 0, EMPTY)]
    assert zone.lessons[0] == (T, Learn.AT_ONCE)


def test_a_clock_that_was_set_back_begins_a_new_stillness() -> None:
    zone = Zone(OCCUPIED).see((3600, 3610, PERSON), (3610, 3640, STILL), (0, 80, STILL))
    assert zone.told == []


def test_confidence_falls_while_nothing_moves_and_is_low_in_doubt() -> None:
    zone = Zone(OCCUPIED).see((0, 10, PERSON), (10, 50, STILL))
    sure = zone.evidence.confidence(OCCUPIED, STILL, at(9.5))
    later = zone.evidence.confidence(OCCUPIED, STILL, at(50))
    assert sure == 1
    assert later == pytest.approx(0.82, abs=0.01)
    assert zone.evidence.confidence(UNKNOWN, STILL, at(50)) == 0
    assert zone.evidence.confidence(OCCUPIED, unsure(0.4), at(9.5)) == 0.6
    assert zone.evidence.confidence(EMPTY, ZoneReading(0, is_hidden=True), at(9.5)) == 0.6


def test_nothing_is_settled_that_may_still_be_told_of_the_past() -> None:
    zone = Zone(OCCUPIED).see((0, 10, PERSON), (10, 50, STILL))
    assert zone.evidence.settled_until(OCCUPIED, at(50)) == at(9.5)
    assert Zone(EMPTY).see((0, 9, NOBODY)).evidence.settled_until(EMPTY, at(9)) == at(9)
    moving = Zone(UNKNOWN).see((0, 3, unsure(0.1, 0.01)))
    assert moving.evidence.settled_until(UNKNOWN, at(3)) == at(0)
