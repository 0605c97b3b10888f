"""Reads as a script: (seconds, reading) go in; (seconds since, state, stay) come out.

What is gone in a frame went midway between it and the one before.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from edge_agent.core.desk_zones import Zone
from edge_agent.core.presence import PresenceTracker
from edge_agent.core.statements import Statement
from edge_agent.core.zone_reading import ZoneReading
from event_protocol.events import PresenceObserved, PresenceState, ZoneRole
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
ZONE = Zone("seat", ZoneRole.CITIZEN, SQUARE)
OCCUPIED, EMPTY, UNKNOWN = PresenceState.OCCUPIED, PresenceState.EMPTY, PresenceState.UNKNOWN

FULL, LITTLE, BETWEEN, NOBODY = 0.4, 0.1, 0.05, 0.0
Reading = tuple[float, float | None]
Said = tuple[float, PresenceState, int | None]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def count_ids() -> Iterator[UUID]:
    number = 0
    while True:
        number += 1
        yield UUID(int=number)


def make_tracker(*zones: Zone) -> PresenceTracker:
    ids = count_ids()
    return PresenceTracker(DeskId("desk-1"), zones or (ZONE,), lambda: next(ids))


def every(step: float, begin: float, end: float, reading: float | None) -> list[Reading]:
    """The same reading from `begin` up to, not including, `end`."""
    count = round((end - begin) / step)
    return [(round(begin + n * step, 3), reading) for n in range(count)]


def see(share: float) -> ZoneReading:
    """Somebody fills so much of the zone; people never keep quite still."""
    return ZoneReading(changed=share, moving=0.01 if share >= LITTLE else 0.0)


def feed(tracker: PresenceTracker, *script: Reading) -> list[Statement]:
    statements: list[Statement] = []
    for seconds, share in script:
        readings = {} if share is None else {"seat": see(share)}
        statements += tracker.observe(readings, at(seconds))
    return statements


def last_confidence(statements: Sequence[Statement]) -> float:
    data = statements[-1].data
    assert isinstance(data, PresenceObserved)
    return data.confidence


def brief(statements: Iterable[Statement]) -> list[Said]:
    said = []
    for statement in statements:
        data = statement.data
        assert isinstance(data, PresenceObserved)
        since = round((data.since - START).total_seconds(), 3)
        said.append((since, data.state, data.session_id.int if data.session_id else None))
    return said


def play(*script: Reading) -> list[Said]:
    return brief(feed(make_tracker(), *script))


def test_a_stay_begins_and_ends_with_its_first_evidence() -> None:
    said = play(*every(0.1, 0, 10, NOBODY), *every(0.1, 10, 30, FULL), *every(0.1, 30, 40, NOBODY))
    assert said == [(0, EMPTY, None), (10, OCCUPIED, 1), (29.95, EMPTY, None)]


@pytest.mark.parametrize("step", [0.04, 0.2, 1, 4])
def test_the_frame_rate_does_not_matter(step: float) -> None:
    said = play(*every(step, 0, 8, NOBODY), *every(step, 8, 32, FULL), *every(step, 32, 48, NOBODY))
    assert said == [(0, EMPTY, None), (8, OCCUPIED, 1), (32 - step / 2, EMPTY, None)]


def test_walking_past_and_bending_down_change_nothing() -> None:
    said = play(
        *every(0.1, 0, 5, NOBODY),
        *every(0.1, 5, 5.9, FULL),
        *every(0.1, 5.9, 10, NOBODY),
        *every(0.1, 10, 20, FULL),
        *every(0.1, 20, 21.3, NOBODY),
        *every(0.1, 21.3, 30, FULL),
    )
    assert said == [(0, EMPTY, None), (10, OCCUPIED, 1)]


def test_between_the_thresholds_the_present_state_stands() -> None:
    said = play(
        *every(0.1, 0, 5, NOBODY),
        *every(0.1, 5, 10, BETWEEN),
        *every(0.1, 10, 20, LITTLE),
        *every(0.1, 20, 30, BETWEEN),
    )
    assert said == [(0, EMPTY, None), (10, OCCUPIED, 1)]


def test_what_is_not_calibrated_stays_unknown_and_says_so_at_once() -> None:
    assert play(*every(0.1, 0, 20, None)) == [(0, UNKNOWN, None)]


def test_what_can_not_be_told_at_the_start_is_unknown() -> None:
    assert play(*every(0.1, 0, 20, BETWEEN)) == [(0, UNKNOWN, None)]


def test_the_time_before_the_first_confirmed_state_is_unknown() -> None:
    said = play(*every(0.1, 0, 0.5, BETWEEN), *every(0.1, 0.5, 5, FULL))
    assert said == [(0, UNKNOWN, None), (0.5, OCCUPIED, 1)]


def test_an_untrusted_picture_makes_presence_unknown_at_once_and_a_short_one_keeps_the_stay() -> (
    None
):
    said = play(
        *every(0.1, 0, 5, NOBODY),
        *every(0.1, 5, 20, FULL),
        *every(0.1, 20, 60, None),
        *every(0.1, 60, 70, FULL),
        *every(0.1, 70, 80, NOBODY),
    )
    assert said == [
        (0, EMPTY, None),
        (5, OCCUPIED, 1),
        (20, UNKNOWN, 1),
        (60, OCCUPIED, 1),
        (69.95, EMPTY, None),
    ]


def test_after_a_long_unknown_somebody_else_may_sit_there() -> None:
    said = play(*every(0.1, 0, 20, FULL), *every(0.1, 20, 80.5, None), *every(0.1, 80.5, 90, FULL))
    assert said == [(0, OCCUPIED, 1), (20, UNKNOWN, 1), (80.5, OCCUPIED, 2)]


def test_somebody_may_leave_while_nothing_is_seen() -> None:
    tracker = make_tracker()
    said = feed(tracker, *every(1, 0, 20, FULL), *every(1, 20, 30, None), *every(1, 30, 40, NOBODY))
    assert brief(said) == [(0, OCCUPIED, 1), (20, UNKNOWN, 1), (30, EMPTY, None)]
    assert tracker.stay_at(at(199)) == UUID(int=1)
    assert tracker.stay_at(at(201)) is None, "three minutes after it was last seen, not after 30"


def test_a_gap_without_frames_is_unknown_from_the_last_frame_on() -> None:
    said = play(*every(1, 0, 20, FULL), *every(1, 40, 60, FULL))
    assert said == [(0, OCCUPIED, 1), (19, UNKNOWN, 1), (40, OCCUPIED, 1)]


def test_a_lost_camera_makes_presence_unknown_since_its_last_frame() -> None:
    tracker = make_tracker()
    feed(tracker, *every(1, 0, 20, FULL))
    assert brief(tracker.lose_sight(at(19), at(25))) == [(19, UNKNOWN, 1)]
    assert tracker.lose_sight(at(19), at(100)) == []
    (repeated,) = tracker.lose_sight(at(19), at(326))
    assert brief([repeated]) == [(19, UNKNOWN, None)], "the stay is no longer open"
    assert isinstance(repeated.data, PresenceObserved)
    assert repeated.data.observed_share == 0


def test_a_camera_that_never_came_is_stated_too() -> None:
    assert brief(make_tracker().lose_sight(at(0), at(15))) == [(0, UNKNOWN, None)]


def test_states_are_repeated_every_five_minutes_with_the_share_that_was_observed() -> None:
    said = feed(
        make_tracker(),
        *every(1, 0, 150, FULL),
        *every(1, 150, 210, None),
        *every(1, 210, 520, FULL),
    )
    shares = [s.data.observed_share for s in said if isinstance(s.data, PresenceObserved)]
    assert brief(said) == [
        (0, OCCUPIED, 1),
        (150, UNKNOWN, 1),
        (210, OCCUPIED, 1),
        (210, OCCUPIED, 1),
    ]
    assert shares == [1, pytest.approx(148 / 149, abs=1e-3), pytest.approx(1 / 61, abs=1e-3), 1]


def test_a_first_frame_alone_is_fully_observed_or_not_at_all() -> None:
    (said,) = feed(make_tracker(), (0, None))
    assert isinstance(said.data, PresenceObserved)
    assert said.data.observed_share == 0


def test_confidence_is_the_reading_s_margin() -> None:
    clear = feed(make_tracker(), (0, FULL), (1, FULL))
    moves = {"seat": ZoneReading(0.06, moving=0.01)}
    tracker = make_tracker()
    close = [s for n in range(2) for s in tracker.observe(moves, at(n))]
    gone = feed(make_tracker(), (0, 0.0), (2, 0.03))
    unknown = feed(make_tracker(), (0, None))
    confidences = [last_confidence(said) for said in (clear, close, gone, unknown)]
    assert confidences == [1, 0.5, 0.75, 0]


def test_a_clock_set_back_claims_no_observed_time() -> None:
    tracker = make_tracker()
    feed(tracker, *every(1, 3600, 3700, FULL))
    said = feed(tracker, *every(1, 0, 10, NOBODY))
    assert brief(said) == [(0, UNKNOWN, 1), (0, EMPTY, None)]
    for statement in said:
        assert isinstance(statement.data, PresenceObserved)
        assert 0 <= statement.data.observed_share <= 1


@pytest.mark.parametrize("reading", [FULL, NOBODY, None])
def test_after_a_clock_was_set_back_nothing_waits_for_the_old_time(reading: float | None) -> None:
    tracker = make_tracker()
    feed(tracker, *every(1, 3600, 3700, FULL), *every(1, 3700, 3710, NOBODY))
    feed(tracker, *every(1, 3710, 3720, reading))
    said = feed(tracker, *every(1, 0, 310, reading))
    assert len(said) >= 2 - (reading is None), "stated anew within five minutes"
    for statement in said:
        assert isinstance(statement.data, PresenceObserved)
        assert statement.data.since <= statement.at
    if reading is not FULL:
        assert tracker.stay_at(at(170)) is not None
        assert tracker.stay_at(at(190)) is None


def test_only_citizens_have_stays() -> None:
    officer = Zone("seat", ZoneRole.OFFICER, SQUARE)
    tracker = make_tracker(officer)
    assert brief(feed(tracker, *every(1, 0, 5, FULL))) == [(0, OCCUPIED, None)]
    assert tracker.stay_at(at(5)) is None


def test_a_missing_reading_is_not_known() -> None:
    tracker = make_tracker(ZONE, Zone("other", ZoneRole.WAITING, SQUARE))
    said = [s.data for s in tracker.observe({"seat": see(FULL)}, at(0))]
    assert [(d.zone, d.state) for d in said if isinstance(d, PresenceObserved)] == [
        ("other", UNKNOWN)
    ]


def test_feedback_belongs_to_the_stay_or_to_one_that_just_ended() -> None:
    tracker = make_tracker()
    assert tracker.stay_at(at(0)) is None
    feed(tracker, *every(1, 0, 20, FULL), *every(1, 20, 30, NOBODY))
    assert tracker.stay_at(at(199.5)) == UUID(int=1)
    assert tracker.stay_at(at(200)) is None
    feed(tracker, *every(1, 30, 40, FULL))
    assert tracker.stay_at(at(40)) == UUID(int=2)


def test_feedback_belongs_to_nobody_when_two_stays_compete() -> None:
    left, right = ZONE, Zone("right", ZoneRole.CITIZEN, SQUARE)
    tracker = make_tracker(left, right)
    for seconds in range(5):
        tracker.observe({"seat": see(FULL), "right": see(FULL)}, at(seconds))
    assert tracker.stay_at(at(5)) is None
    assert tracker.stay_at(at(5), "right") == UUID(int=2)


def test_a_zone_may_be_occupied_unless_it_is_known_empty_and_shows_nobody() -> None:
    tracker = make_tracker()
    assert tracker.may_be_occupied("seat")
    feed(tracker, *every(1, 0, 5, NOBODY))
    assert not tracker.may_be_occupied("seat")
    feed(tracker, (5, FULL))
    assert tracker.may_be_occupied("seat"), "a card may be held up in the first second"


def test_nothing_still_to_come_is_about_a_settled_time() -> None:
    tracker = make_tracker()
    assert tracker.settled_until(at(0)) == at(0)
    feed(tracker, (0, NOBODY), (1, NOBODY))
    assert tracker.settled_until(at(1)) == at(0), "the first state is not stated yet"
    feed(tracker, (2, NOBODY), (3, FULL), (3.5, FULL))
    assert tracker.settled_until(at(3.5)) == at(3)
    feed(tracker, (4, FULL))
    assert tracker.settled_until(at(4)) == at(4)


def restart(tracker: PresenceTracker, *zones: Zone) -> PresenceTracker:
    successor = PresenceTracker(DeskId("desk-1"), zones or (ZONE,), lambda: UUID(int=99))
    successor.restore(json.loads(json.dumps(tracker.snapshot())))
    return successor


def test_a_restart_goes_on_with_the_stay_and_does_not_know_the_time_between() -> None:
    before = make_tracker()
    feed(before, *every(1, 0, 20, FULL))
    after = restart(before)
    said = feed(after, *every(1, 40, 60, FULL), *every(1, 60, 70, NOBODY))
    assert brief(said) == [(19, UNKNOWN, 1), (40, OCCUPIED, 1), (59.5, EMPTY, None)]


def test_a_restart_after_a_long_time_begins_a_new_stay() -> None:
    before = make_tracker()
    feed(before, *every(1, 0, 20, FULL))
    said = feed(restart(before), *every(1, 100, 110, FULL))
    assert brief(said) == [(19, UNKNOWN, None), (100, OCCUPIED, 99)]


def test_a_restart_states_what_was_unknown_before_again() -> None:
    before = make_tracker()
    feed(before, *every(1, 0, 20, None))
    assert brief(feed(restart(before), *every(1, 30, 40, None))) == [(0, UNKNOWN, None)]


def test_a_restart_with_other_zones_keeps_those_that_are_still_there() -> None:
    before = make_tracker(ZONE, Zone("gone", ZoneRole.CITIZEN, SQUARE))
    for seconds in range(5):
        before.observe({"seat": see(FULL), "gone": see(FULL)}, at(seconds))
    after = restart(before, Zone("new", ZoneRole.CITIZEN, SQUARE), ZONE)
    said = after.observe({"seat": see(FULL)}, at(6))
    assert brief(said) == [(6, UNKNOWN, None), (4, UNKNOWN, 1)]


def test_what_is_no_snapshot_is_refused() -> None:
    with pytest.raises(ValueError, match="state"):
        make_tracker().restore({"seat": {"state": "asleep"}})
