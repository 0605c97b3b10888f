"""The registry, ids that derive from what they derive from, and conditions as flags."""

from central_server.domain.flags import (
    REGISTRY,
    Condition,
    Place,
    flag_id,
    judge,
    raise_flag,
)
from central_server.domain.rules import Rules, TimedRule, parse_rules
from tests.central_server.domain.stories import RULES, RULES_FILE, minute

PLACE = Place("unit-a", "device-a", 1, "desk-1")
OFFICE = RULES.calendar("default")


def test_the_registry_and_the_rules_file_name_the_same_rules() -> None:
    assert set(REGISTRY) == set(Rules.model_fields)
    for code, info in REGISTRY.items():
        assert info.is_timed == isinstance(getattr(RULES.rules, code), TimedRule)
        assert info.title_key == f"rule.{code}.title"
        assert info.explain_key == f"rule.{code}.explain"
    hidden = {code for code, info in REGISTRY.items() if info.inspection_only}
    assert hidden == {"complaint", "sequence_gap", "broken_chain", "wrong_clock"}


def test_an_id_says_what_it_derives_from() -> None:
    assert flag_id("long_wait", "a", 1) == flag_id("long_wait", "a", 1)
    assert flag_id("long_wait", "a", 1) != flag_id("officer_absent", "a", 1)


def test_a_rule_that_is_off_raises_nothing() -> None:
    text = RULES_FILE.read_text(encoding="utf-8")
    off = parse_rules(text.replace("sequence_gap: {", "sequence_gap: {enabled: false, "), "f")
    for rules, raised in ((RULES, True), (off, False)):
        flag = raise_flag("sequence_gap", rules, PLACE, (1,), minute(0), None, {})
        assert (flag is not None) is raised


def test_a_condition_is_new_then_quiet_then_over() -> None:
    condition = Condition("long_wait", minute(0), 1)

    def judged(until: float, *, is_over: bool = False) -> bool:
        flag = judge(condition, minute(until), RULES, OFFICE, PLACE, is_over=is_over)
        return flag is not None

    assert [judged(29), judged(30), judged(35), judged(40, is_over=True)] == [
        False,
        True,
        False,
        True,
    ]
    assert condition.flag is not None
    assert condition.flag.end == minute(40)
    assert condition.flag.facts["proven_at"] == minute(30).isoformat()


def test_only_opening_hours_count() -> None:
    condition = Condition("long_wait", minute(-60), 1)
    assert judge(condition, minute(29), RULES, OFFICE, PLACE, is_over=True) is None
    assert judge(condition, minute(30), RULES, OFFICE, PLACE, is_over=True) is not None


def test_a_disabled_rule_judges_nothing() -> None:
    text = RULES_FILE.read_text(encoding="utf-8")
    off = parse_rules(text.replace("long_wait: {", "long_wait: {enabled: false, "), "f")
    condition = Condition("long_wait", minute(0), 1)
    assert judge(condition, minute(60), off, OFFICE, PLACE, is_over=True) is None
