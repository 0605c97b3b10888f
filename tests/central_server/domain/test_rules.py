"""The rules file: what it comes to, and what is said of each mistake in it."""

from datetime import date, timedelta

import pytest

from central_server.domain.rules import RuleHistory, RuleSet, Severity, parse_rules
from central_server.domain.yaml_lines import WrongFileError
from tests.central_server.domain.stories import BEGINNING, OPENING, RULES, RULES_FILE

TEXT = RULES_FILE.read_text(encoding="utf-8")


def line_of(text: str) -> int:
    return next(n for n, line in enumerate(TEXT.splitlines(), 1) if text in line)


def test_the_shipped_file() -> None:
    assert date(2026, 2, 17) in RULES.closed_days  # the library's
    assert date(2026, 8, 31) in RULES.closed_days
    assert RULES.rules.long_wait.threshold_s == 1800
    reasons = RULES.rules.complaint.reasons
    critical = {reason.value for reason, how in reasons.items() if how is Severity.CRITICAL}
    assert critical == {"asked_for_money", "harassment", "violence"}
    assert list(RULES.calendar("saturday_morning").day(date(2026, 3, 7)))


def test_content_names_the_set_and_gives_it_back() -> None:
    again = RuleSet.model_validate(RULES.content)
    assert (again, again.hash) == (RULES, RULES.hash)
    assert parse_rules(TEXT.replace("1800", "1801"), "f").hash != RULES.hash


def test_an_unknown_schedule_has_the_default_hours() -> None:
    monday = date(2026, 3, 2)
    assert RULES.calendar("gone").day(monday) == RULES.calendar("default").day(monday)


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("threshold_s: 1800", "threshold_s: soon", "rules.long_wait.threshold_s"),
        ("severity: minor, threshold_s: 900}", "severity: bad, threshold_s: 900}", "severity"),
        ("long_wait:", "long_weight:", "rules.long_weight"),
        ("time_zone: Asia/Ho_Chi_Minh", "time_zone: Asia/Nowhere", "not a time zone"),
        ("2026-08-22, like: monday", "2026-08-22, like: mon", "a weekday is expected"),
        ("country: VN", "country: vietnam", "holidays.country"),
    ],
)
def test_a_mistake_is_named_with_its_line(right: str, wrong: str, complaint: str) -> None:
    with pytest.raises(WrongFileError) as raised:
        parse_rules(TEXT.replace(right, wrong), "rules.yaml")
    said = str(raised.value)
    assert complaint in said
    assert f"rules.yaml:{line_of(right)}:" in said


@pytest.mark.parametrize(
    ("hours", "complaint"),
    [
        ('["7-11"]', "opening hours are written like 07:00-11:30"),
        ('["11:30-07:00"]', "opening hours end after they begin"),
        ('["07:00-11:30", "11:00-12:00"]', "do not overlap"),
    ],
)
def test_wrong_hours(hours: str, complaint: str) -> None:
    text = TEXT.replace('saturday: ["07:00-11:30"]', f"saturday: {hours}")
    with pytest.raises(WrongFileError, match=complaint):
        parse_rules(text, "rules.yaml")


def test_the_default_schedule_is_needed() -> None:
    with pytest.raises(WrongFileError, match="a schedule named default is needed"):
        parse_rules(TEXT.replace("default: &office", "usual: &office"), "rules.yaml")


def test_rules_apply_by_time() -> None:
    later = parse_rules(TEXT.replace("1800", "60"), "f")
    change = OPENING + timedelta(days=1)
    history = RuleHistory([(change, later), (BEGINNING, RULES)])
    assert history.at(OPENING) is RULES
    assert history.at(change) is later
    assert history.at(BEGINNING - timedelta(days=1)) is RULES


def test_of_two_sets_from_one_instant_the_later_counts() -> None:
    later = parse_rules(TEXT.replace("1800", "60"), "f")
    assert RuleHistory([(OPENING, RULES), (OPENING, later)]).at(OPENING) is later


def test_a_history_needs_a_set() -> None:
    with pytest.raises(ValueError, match="no rule set"):
        RuleHistory([])
