"""A simulated desk's day: in order, within hours, believable, and the same for the same seed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from central_server.simulation.days import make_day
from central_server.simulation.fleet import random_source
from central_server.simulation.habits import DISHONEST, HONEST, Habits
from central_server.simulation.statements import Phoned, Said
from central_server.simulation.visits import Span, make_visits, officer_spans, subtract
from event_protocol.events import (
    CameraObserved,
    CameraState,
    FeedbackSubmitted,
    PresenceObserved,
    PresenceState,
    ZoneRole,
)
from event_protocol.feedback import content_digest
from event_protocol.names import DeskId

DESK = DeskId("desk-1")
MORNING = datetime(2026, 3, 2, tzinfo=UTC)  # 07:00 at the desk
OPENING = (
    Span(MORNING, MORNING + timedelta(hours=4.5)),
    Span(MORNING + timedelta(hours=6.5), MORNING + timedelta(hours=10)),
)
RUNNING = Span(MORNING - timedelta(minutes=20), MORNING + timedelta(hours=10, minutes=20))


def day_of(seed: int, habits: Habits = HONEST) -> list[Said]:
    return make_day(random_source(seed), DESK, habits, OPENING, RUNNING).said


def phoned_on(seed: int, habits: Habits) -> list[Phoned]:
    return make_day(random_source(seed), DESK, habits, OPENING, RUNNING).phoned


def presences_of(day: list[Said]) -> list[tuple[datetime, PresenceObserved]]:
    return [(one.at, one.data) for one in day if isinstance(one.data, PresenceObserved)]


def sessions_of(day: list[Said]) -> set[UUID | None]:
    return {data.session_id for _, data in presences_of(day)} - {None}


def test_the_same_seed_says_the_same_and_another_something_else() -> None:
    assert day_of(1) == day_of(1)
    assert day_of(1) != day_of(2)


@pytest.mark.parametrize("habits", [HONEST, DISHONEST])
def test_statements_are_in_order_and_within_the_run(habits: Habits) -> None:
    for seed in range(20):
        times = [one.at for one in day_of(seed, habits)]
        assert times == sorted(times)
        assert RUNNING.begin <= times[0]
        assert times[-1] < RUNNING.end + timedelta(minutes=2)


def test_a_desk_serves_a_believable_number_of_people() -> None:
    counts = [len(sessions_of(day_of(seed))) for seed in range(40)]
    assert 15 < sum(counts) / len(counts) < 35
    assert min(counts) > 5


def test_each_zone_is_stated_at_least_every_five_minutes() -> None:
    for role in (ZoneRole.CITIZEN, ZoneRole.OFFICER):
        times = [at for at, data in presences_of(day_of(3)) if data.role is role]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert max(gaps) <= timedelta(minutes=5, seconds=2)


def test_one_visitor_at_a_time_sits_at_the_desk() -> None:
    random = random_source(5)
    officer = officer_spans(random, HONEST, OPENING, [])
    seats = [visit.seat for visit in make_visits(random, HONEST, OPENING, officer)]
    assert all(a.end <= b.begin for a, b in pairwise(seats))


def test_what_the_camera_can_not_see_is_unknown() -> None:
    states = []
    for seed in range(10):
        day = day_of(seed, DISHONEST)
        cameras = [(one.at, one.data) for one in day if isinstance(one.data, CameraObserved)]
        lost_at = {at for at, data in cameras if data.state is not CameraState.OK}
        states += [data.state for at, data in presences_of(day) if at in lost_at]
    assert states
    assert set(states) == {PresenceState.UNKNOWN}


def test_feedback_is_about_a_session_and_named_by_its_digest() -> None:
    day = day_of(4)
    given = [one for one in day if isinstance(one.data, FeedbackSubmitted)]
    assert given
    for one in given:
        assert isinstance(one.data, FeedbackSubmitted)
        assert one.content is not None
        assert one.data.digest == content_digest(one.content)
        assert one.content.session_id in sessions_of(day)


def test_nobody_complains_where_the_officer_watches_but_some_do_by_phone() -> None:
    pressed = {
        one.content.rating for seed in range(20) for one in day_of(seed, DISHONEST) if one.content
    }
    phoned = [one for seed in range(20) for one in phoned_on(seed, DISHONEST)]
    assert pressed == {5}
    assert any(one.rating <= 2 and one.reasons for one in phoned)
    assert len({one.nonce for one in phoned}) == len(phoned)


def test_subtracting_a_hole_leaves_nothing_one_piece_or_two() -> None:
    minute = timedelta(minutes=1)
    whole = Span(MORNING, MORNING + 10 * minute)
    assert subtract(whole, whole) == []
    assert subtract(whole, Span(MORNING - minute, MORNING + minute)) == [
        Span(MORNING + minute, whole.end)
    ]
    assert len(subtract(whole, Span(MORNING + minute, MORNING + 2 * minute))) == 2
    assert subtract(whole, Span(whole.end, whole.end + minute)) == [whole]
