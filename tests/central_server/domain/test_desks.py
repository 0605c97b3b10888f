"""A desk's day as scripts: who came and went, and what may be said of it."""

from datetime import date

import pytest

from central_server.domain.sessions import SessionState, figures
from tests.central_server.domain.stories import Story, both_ways, minute, stay

ENDED, UNCERTAIN = SessionState.ENDED, SessionState.UNCERTAIN


def desk() -> Story:
    """An empty desk with its officer, well seen."""
    return Story().officer(0, "occupied").goes(0)


def test_served_at_once() -> None:
    told = both_ways(desk().comes(10, 1).goes(18))
    session = told.session(1)
    known = figures(session)
    assert (session.arrived_at, session.ended_at) == (minute(10), minute(18))
    assert session.state is ENDED
    assert (known.wait_s, known.service_s, known.officer_absent_s) == (0, 480, 0)
    assert known.certainty == 1
    assert told.rules_broken() == []


def test_waits_for_the_officer() -> None:
    told = both_ways(desk().officer(5, "empty").comes(10, 1).officer(14, "occupied").goes(20))
    known = figures(told.session(1))
    assert (known.wait_s, known.service_s, known.officer_absent_s) == (240, 360, 240)


def test_arrival_and_end_are_the_stated_since() -> None:
    story = desk().zone(10, "occupied", since=9.9, session=1).zone(20, "empty", since=19.8)
    session = both_ways(story).session(1)
    assert (session.arrived_at, session.ended_at) == (minute(9.9), minute(19.8))


def test_repetitions_change_nothing_but_what_was_observed() -> None:
    story = desk().comes(10, 1)
    before = story.told()
    for at in (15, 20):
        story.zone(at, "occupied", since=10, session=1).zone(at, "occupied", since=10)
    after = both_ways(story)
    assert after.rows() == before.rows()
    assert after.session(1).state is SessionState.SERVING
    assert after.days["desk-1", date(2026, 3, 2)].observed_s == 1200


def test_two_citizens_at_one_desk() -> None:
    story = desk().zone(0, "empty", zone="left").comes(1, 1).comes(2, 2, "left")
    told = both_ways(story.goes(5).goes(9, "left"))
    assert [told.session(n).ended_at for n in (1, 2)] == [minute(5), minute(9)]
    assert {session.state for session in told.sessions.values()} == {ENDED}


def test_one_after_another_without_an_empty_moment() -> None:
    told = both_ways(desk().comes(1, 1).comes(4, 2).goes(9))
    assert (told.session(1).ended_at, told.session(2).arrived_at) == (minute(4), minute(4))
    assert told.session(2).arrival_seen


def test_without_an_officer_zone_nothing_is_claimed() -> None:
    told = both_ways(Story().goes(0).comes(5, 1).repeats(5, 65, citizen="occupied").goes(70))
    known = figures(told.session(1))
    assert told.session(1).state is UNCERTAIN
    assert (known.wait_s, known.service_s, known.officer_absent_s) == (None, None, None)
    assert (known.unobserved_s, known.certainty) == (0, 1)
    assert told.rules_broken() == []


def test_an_unknown_officer_makes_it_uncertain_until_service_is_seen() -> None:
    story = desk().officer(1, "empty").comes(2, 1).officer(3, "unknown").officer(6, "empty")
    assert story.told().session(1).state is UNCERTAIN
    told = both_ways(story.officer(7, "occupied").goes(10))
    known = figures(told.session(1))
    assert told.session(1).state is ENDED
    assert known.wait_s is None
    assert (known.unobserved_s, known.service_s, known.officer_absent_s) == (180, 180, 120)


def test_out_of_an_unknown_a_stay_ends_where_it_was_last_seen() -> None:
    story = desk().comes(5, 1).zone(10, "unknown", session=1).goes(40)
    session = both_ways(story).session(1)
    known = figures(session)
    assert (session.ended_at, session.end_seen) == (minute(10), False)
    assert (known.unobserved_s, known.certainty) == (0, 0.5)


def test_the_same_stay_goes_on_after_an_unknown() -> None:
    story = desk().comes(5, 1).zone(10, "unknown").zone(11, "occupied", session=1).goes(15)
    known = figures(both_ways(story).session(1))
    assert (known.unobserved_s, known.certainty, known.service_s) == (60, 0.9, 540)


def test_an_arrival_nobody_saw() -> None:
    story = Story().officer(0, "empty").zone(0, "occupied", session=1).officer(5, "occupied")
    session = both_ways(story.goes(8)).session(1)
    known = figures(session)
    assert (known.wait_s, known.certainty) == (None, 0.5)


def test_a_stay_without_a_name_gets_one() -> None:
    story = desk().zone(5, "occupied").zone(10, "occupied", since=5).goes(12)
    (session,) = both_ways(story).sessions.values()
    assert session.ended_at == minute(12)


def test_a_zone_that_changes_its_role_ends_the_stay() -> None:
    story = desk().comes(5, 1).zone(9, "occupied", zone="citizen", role="officer")
    assert both_ways(story).session(1).ended_at == minute(9)


def test_waiting_zones_make_no_session() -> None:
    assert both_ways(desk().zone(3, "occupied", role="waiting")).sessions == {}


@pytest.mark.parametrize("session", [1, None])
def test_slip(session: int | None) -> None:
    data = {"text": "A-12"} | ({"session_id": stay(session)} if session else {})
    story = desk().comes(5, 1).say(6, "slip.scanned", data).say(7, "slip.scanned", data)
    assert both_ways(story).session(1).slip == "A-12"


def test_a_slip_that_fits_nobody_is_left() -> None:
    story = desk().say(1, "slip.scanned", {"text": "A"}).comes(5, 1)
    story.zone(5, "empty", zone="left").comes(6, 2, "left").say(7, "slip.scanned", {"text": "B"})
    assert {session.slip for session in both_ways(story).sessions.values()} == {None}


def test_an_untrusted_camera_makes_all_unknown_at_once() -> None:
    story = desk().comes(5, 1).camera(8, "covered", since=7)
    told = both_ways(story)
    assert told.session(1).state is UNCERTAIN
    story.camera(9, "ok").officer(9, "occupied").zone(9, "occupied", session=1).goes(12)
    known = figures(both_ways(story).session(1))
    assert known.unobserved_s == 120


def test_a_restart_makes_unknown_what_was_known() -> None:
    story = desk().comes(5, 1).officer(6, "occupied", since=0).starts(9)
    assert story.told().session(1).state is UNCERTAIN
    story.officer(9, "occupied").zone(9, "occupied", since=5, session=1).goes(12)
    session = both_ways(story).session(1)
    known = figures(session)
    assert session.state is ENDED
    assert known.unobserved_s == 180  # from the last statement until it was seen again


def test_a_closed_stream_ends_its_stays_unseen() -> None:
    told = desk().comes(5, 1).zone(10, "occupied", since=5, session=1).told(closed=True)
    session = told.session(1)
    assert (session.state, session.ended_at, session.end_seen) == (ENDED, minute(10), False)


def test_days_count_only_opening_hours() -> None:
    story = Story().officer(-30, "occupied").goes(-30)
    story.repeats(-30, 60, citizen="empty", officer="occupied")
    day = both_ways(story).days["desk-1", date(2026, 3, 2)]
    assert (day.opening_s, day.observed_s, day.officer_present_s) == (28800, 3600, 3600)


def test_days_do_not_pile_up_in_memory() -> None:
    story = desk().repeats(0, 10, citizen="empty")
    night = 24 * 60
    told = both_ways(story.officer(night, "empty").goes(night + 10))
    assert [day for _, day in told.days] == [date(2026, 3, 2), date(2026, 3, 3)]
    assert list(told.state["desks"]["desk-1"]["days"]) == ["2026-03-03"]
