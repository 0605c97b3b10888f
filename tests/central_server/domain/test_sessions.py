"""The transition table over every state and input, and what a stay's figures claim."""

from datetime import timedelta

import pytest

from central_server.domain import sessions
from central_server.domain.sessions import (
    OPENING,
    TRANSITIONS,
    ImpossibleSightError,
    Session,
    SessionState,
    Sight,
    figures,
)
from tests.central_server.domain.stories import minute

W, S, U = SessionState.WAITING, SessionState.SERVING, SessionState.UNCERTAIN
ENDED, ABANDONED = SessionState.ENDED, SessionState.ABANDONED

# state -> what follows present, absent, not observed, left served, unserved, soon; None: can't be
EXPECTED = {
    W: (S, W, U, None, ABANDONED, U),
    S: (S, S, U, ENDED, None, None),
    U: (S, U, U, ENDED, U, U),
    ENDED: (None,) * 6,
    ABANDONED: (None,) * 6,
}


def begin(sight: Sight, *, arrival_seen: bool = True) -> Session:
    return sessions.begin("s", "citizen", 1, minute(0), sight, arrival_seen=arrival_seen)


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize(("place", "sight"), list(enumerate(Sight)))
def test_every_state_and_sight(state: SessionState, place: int, sight: Sight) -> None:
    session = begin(Sight.NOT_OBSERVED)
    session.state = state
    expected = EXPECTED[state][place]
    if expected is None:
        with pytest.raises(ImpossibleSightError):
            sessions.advance(session, sight, minute(1))
        assert session.state is state
    else:
        assert sessions.advance(session, sight, minute(1)) is (expected is not state)
        assert session.state is expected


def test_the_tables_name_every_state() -> None:
    assert set(TRANSITIONS) == set(SessionState)
    assert set(OPENING) == {Sight.OFFICER_PRESENT, Sight.OFFICER_ABSENT, Sight.NOT_OBSERVED}


def test_wait_is_from_arrival_to_service() -> None:
    session = begin(Sight.OFFICER_ABSENT)
    assert figures(session).wait_s is None  # not known before it is over
    sessions.count(session, 120, Sight.OFFICER_ABSENT, zone_known=True)
    sessions.advance(session, Sight.OFFICER_PRESENT, minute(2))
    assert figures(session).wait_s == 120
    sessions.count(session, 300, Sight.OFFICER_PRESENT, zone_known=True)
    sessions.count(session, 60, Sight.OFFICER_ABSENT, zone_known=True)
    sessions.end(session, minute(8), seen=True, abandoned_after_s=300)
    known = figures(session)
    assert session.state is ENDED
    assert (known.wait_s, known.service_s, known.officer_absent_s) == (120, 300, 180)
    assert (known.unobserved_s, known.certainty) == (0, 1)


def test_service_at_once_is_no_wait() -> None:
    assert begin(Sight.OFFICER_PRESENT).waited_s == 0
    assert begin(Sight.OFFICER_PRESENT, arrival_seen=False).waited_s is None


def test_an_unseen_arrival_claims_no_wait() -> None:
    session = begin(Sight.OFFICER_ABSENT, arrival_seen=False)
    assert session.state is U
    assert figures(session).certainty == 0.5
    sessions.advance(session, Sight.OFFICER_PRESENT, minute(3))
    assert (session.state, figures(session).wait_s) == (S, None)


@pytest.mark.parametrize(("minutes", "state"), [(4, U), (5, ABANDONED)])
def test_abandoned_needs_a_minimum_stay(minutes: float, state: SessionState) -> None:
    session = begin(Sight.OFFICER_ABSENT)
    sessions.end(session, minute(minutes), seen=True, abandoned_after_s=300)
    assert session.state is state
    assert figures(session).wait_s == (minutes * 60 if state is ABANDONED else None)


def test_without_officer_zone_nothing_is_claimed() -> None:
    session = begin(Sight.NOT_OBSERVED)
    sessions.end(session, minute(30), seen=True, abandoned_after_s=300)
    known = figures(session)
    assert session.state is U
    assert (known.wait_s, known.service_s, known.officer_absent_s) == (None, None, None)
    assert known.certainty == 1


def test_unobserved_time_counts_if_the_stay_goes_on() -> None:
    session = begin(Sight.OFFICER_PRESENT)
    sessions.count(session, 60, Sight.NOT_OBSERVED, zone_known=False)
    sessions.settle(session)
    sessions.count(session, 30, Sight.NOT_OBSERVED, zone_known=True)
    sessions.count(session, 600, Sight.NOT_OBSERVED, zone_known=False)  # never seen again
    sessions.end(session, minute(3), seen=False, abandoned_after_s=300)
    known = figures(session)
    assert (known.unobserved_s, known.certainty) == (90, 0.25)  # half of the stay, end unseen


def test_a_stay_of_no_length_divides_nothing() -> None:
    session = begin(Sight.OFFICER_PRESENT)
    sessions.end(session, minute(0) - timedelta(seconds=1), seen=True, abandoned_after_s=300)
    assert session.ended_at == minute(0)
    assert figures(session).certainty == 1


def test_a_wrong_clock_claims_nothing() -> None:
    session = begin(Sight.OFFICER_PRESENT)
    assert sessions.distrust(session)
    assert not sessions.distrust(session)
    sessions.end(session, minute(9), seen=True, abandoned_after_s=300)
    known = figures(session)
    assert (known.wait_s, known.service_s, known.officer_absent_s) == (None, None, None)
    assert known.certainty == 0
