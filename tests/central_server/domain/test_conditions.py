"""The rules that hold over time: when they fire, that they fire once, and when they end."""

from datetime import timedelta

import pytest

from central_server.domain.flags import Flag
from central_server.domain.rules import RuleHistory, parse_rules
from tests.central_server.domain.stories import (
    BEGINNING,
    RULES,
    RULES_FILE,
    Story,
    both_ways,
    minute,
    stay,
)


def desk() -> Story:
    return Story().officer(0, "occupied").goes(0)


def span(flag: Flag) -> tuple[float, float | None]:
    """Beginning and end in minutes after opening."""
    begin = (flag.begin - minute(0)) / timedelta(minutes=1)
    end = None if flag.end is None else (flag.end - minute(0)) / timedelta(minutes=1)
    return begin, end


def waiting(until: float) -> Story:
    """A citizen waits from minute 10 without an officer."""
    story = desk().officer(9, "empty").comes(10, 1)
    return story.repeats(10, until, citizen="occupied", officer="empty")


def test_officer_absent_while_a_citizen_is_there() -> None:
    assert both_ways(waiting(20)).rules_broken() == []
    flag = both_ways(waiting(25)).only_flag("officer_absent")
    assert span(flag) == (10, None)
    assert flag.session_id == stay(1)
    assert flag.facts["proven_s"] == flag.facts["threshold_s"] == 900
    assert flag.facts["began_with"] == {"epoch": 1, "sequence": 4}
    over = both_ways(waiting(25).officer(28, "occupied")).only_flag("officer_absent")
    assert (over.flag_id, span(over), over.facts["open_s"]) == (flag.flag_id, (10, 28), 1080)


def test_long_wait_is_one_flag_that_ends_with_service() -> None:
    told = both_ways(waiting(55).officer(57, "occupied").goes(70))
    assert span(told.only_flag("long_wait")) == (10, 57)
    assert told.rules_broken() == ["long_wait", "officer_absent"]


def test_a_wait_that_only_its_end_proves() -> None:
    told = both_ways(desk().officer(9, "empty").comes(10, 1).officer(45, "occupied"))
    assert span(told.only_flag("long_wait")) == (10, 45)


def test_not_observed_ends_a_wait() -> None:
    told = both_ways(waiting(55).zone(58, "unknown"))
    assert span(told.only_flag("long_wait")) == (10, 58)


def test_nobody_is_absent_before_the_doors_open() -> None:
    story = Story().officer(-60, "empty").goes(-60).comes(-50, 1)
    story.repeats(-50, 10, citizen="occupied", officer="empty")
    assert both_ways(story.officer(12, "occupied")).rules_broken() == []


def test_abandoned() -> None:
    told = both_ways(desk().officer(5, "empty").comes(10, 1).goes(16))
    flag = told.only_flag("abandoned_session")
    assert (span(flag), flag.session_id) == ((10, 16), stay(1))
    assert flag.facts["open_s"] == 360
    assert both_ways(desk().officer(5, "empty").comes(10, 1).goes(14)).rules_broken() == []


def test_an_abandoned_wait_ends_when_the_citizen_leaves() -> None:
    told = both_ways(waiting(55).goes(57))
    assert span(told.only_flag("long_wait")) == (10, 57)
    assert span(told.only_flag("abandoned_session")) == (10, 57)


def test_nobody_is_abandoned_at_lunch() -> None:
    lunch = 4.5 * 60
    story = desk().officer(lunch, "empty").comes(lunch + 5, 1).goes(lunch + 60)
    assert both_ways(story).rules_broken() == []


def unattended(begin: float, until: float) -> Story:
    return desk().officer(begin, "empty").repeats(begin, until, officer="empty", citizen="empty")


def test_desk_unattended_ends_when_the_officer_is_back() -> None:
    flag = both_ways(unattended(10, 75)).only_flag("desk_unattended")
    assert span(flag) == (10, None)
    over = both_ways(unattended(10, 75).officer(80, "occupied")).only_flag("desk_unattended")
    assert (over.flag_id, span(over)) == (flag.flag_id, (10, 80))


def test_desk_unattended_over_lunch_is_judged_by_opening_intervals() -> None:
    morning_end, afternoon = 4.5 * 60, 6.5 * 60
    told = both_ways(unattended(morning_end - 90, afternoon + 65))
    spans = sorted(span(flag) for flag in told.flags.values())
    assert spans == [(morning_end - 90, morning_end), (afternoon, None)]
    assert both_ways(unattended(morning_end - 30, afternoon + 30)).rules_broken() == []


def test_an_officer_who_is_not_observed_is_not_away() -> None:
    told = both_ways(unattended(10, 75).camera(76, "covered").officer(90, "empty", since=90))
    assert span(told.only_flag("desk_unattended")) == (10, 76)


@pytest.mark.parametrize(
    ("state", "rule", "grace"), [("covered", "camera_tampered", 3), ("lost", "camera_lost", 10)]
)
def test_camera(state: str, rule: str, grace: float) -> None:
    story = desk().camera(0, "ok").camera(20, state).goes(20 + grace - 0.1)
    assert both_ways(story).rules_broken() == []
    story.zone(20 + grace, "unknown")
    assert span(both_ways(story).only_flag(rule)) == (20, None)
    flag = both_ways(story.camera(50, "ok")).only_flag(rule)
    assert span(flag) == (20, 50)
    assert flag.facts["camera"] == "cam"


def test_one_kind_of_tampering_after_another_is_one_flag() -> None:
    story = desk().camera(20, "covered").camera(21, "defocused").zone(25, "unknown")
    story.camera(26, "moved").camera(27, "covered").camera(30, "ok")
    flag = both_ways(story).only_flag("camera_tampered")
    assert span(flag) == (20, 30)
    assert flag.facts["states"] == ["covered", "defocused", "moved"]


def test_a_flag_says_how_the_camera_was_moved_and_covered() -> None:
    story = desk().camera(20, "moved", shift={"right": 78, "down": -40}).zone(24, "unknown")
    flag = both_ways(story).only_flag("camera_tampered")
    assert flag.facts["shift_px"] == [78, -40]
    assert "fault_detail" not in flag.facts
    flag = both_ways(story.camera(26, "covered", detail="partly")).only_flag("camera_tampered")
    assert flag.facts["states"] == ["moved", "covered"]
    assert (flag.facts["fault_detail"], flag.facts["shift_px"]) == ("partly", [78, -40])


def test_a_dark_room_at_night_is_no_fault() -> None:
    story = desk().camera(12 * 60, "dark").camera(24 * 60 - 5, "ok")
    assert both_ways(story).rules_broken() == []


def test_a_restart_ends_what_nobody_saw_going_on() -> None:
    told = both_ways(waiting(55).starts(58))
    assert span(told.only_flag("long_wait")) == (10, 55)
    told = both_ways(unattended(10, 75).starts(76))
    assert span(told.only_flag("desk_unattended")) == (10, 75)


def test_rules_of_the_day_and_rules_switched_off() -> None:
    text = RULES_FILE.read_text(encoding="utf-8")
    off = text.replace(", threshold_s", ", enabled: false, threshold_s")
    story = waiting(55).goes(57)
    story.rules = RuleHistory([(BEGINNING, parse_rules(off, "f"))])
    assert both_ways(story).rules_broken() == []
    story.rules = RuleHistory([(BEGINNING, RULES), (minute(11), parse_rules(off, "f"))])
    flag = both_ways(story).only_flag("long_wait")  # it began under the rules of its day
    assert flag.rules_hash == RULES.hash


def test_whoever_was_not_seen_to_arrive_is_not_said_to_wait() -> None:
    story = Story().officer(0, "empty").zone(0, "occupied", session=1)
    story.repeats(0, 40, citizen="occupied", officer="empty")
    assert both_ways(story).rules_broken() == ["officer_absent"]
