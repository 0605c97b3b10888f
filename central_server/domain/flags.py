"""Flags: the registry of rules, and how a condition that goes on becomes one flag. Pure.

A flag's id derives from what it derives from, so that deriving it again, in any order of arrival,
gives the same flag. Its facts let an inspector check every figure: which event began it, the
threshold, when it was first proven and what was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from central_server.domain.calendars import Calendar
from central_server.domain.rules import RuleSet, Severity, TimedRule

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:onestop:flag")
# Places in logs where feedback stands too: by their distances complaints could be counted.
_PLACES_IN_LOGS = frozenset({"log_sequence", "began_with"})


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """A rule as documents and pages know it; its words are `rule.<code>.title` and `.explain`."""

    code: str
    inspection_only: bool = False  # never shown to the unit's own chain
    is_timed: bool = True

    @property
    def title_key(self) -> str:
        """Message key of its name."""
        return f"rule.{self.code}.title"

    @property
    def explain_key(self) -> str:
        """Message key of what it means and how it is measured."""
        return f"rule.{self.code}.explain"


REGISTRY: dict[str, RuleInfo] = {
    info.code: info
    for info in (
        RuleInfo("complaint", inspection_only=True, is_timed=False),
        RuleInfo("long_wait"),
        RuleInfo("officer_absent"),
        RuleInfo("desk_unattended"),
        RuleInfo("abandoned_session"),
        RuleInfo("camera_tampered"),
        RuleInfo("camera_lost"),
        RuleInfo("device_silent"),
        RuleInfo("sequence_gap", inspection_only=True, is_timed=False),
        RuleInfo("broken_chain", inspection_only=True, is_timed=False),
        RuleInfo("wrong_clock", inspection_only=True, is_timed=False),
    )
}


@dataclass(frozen=True, slots=True)
class Place:
    """Whom a flag concerns; `desk` and `epoch` where it is about one."""

    unit_id: str
    device: str | None = None
    epoch: int | None = None
    desk: str | None = None


@dataclass(slots=True)
class Flag:
    """A rule was broken; `end` is `None` while it goes on. `withdrawn`: its own facts undid it."""

    flag_id: str
    rule: str
    rules_hash: str
    severity: Severity
    place: Place
    begin: datetime
    end: datetime | None
    facts: dict[str, Any]
    session_id: str | None = None
    feedback_id: str | None = None
    withdrawn: bool = False


def flag_id(rule: str, *derived_from: object) -> str:
    """UUIDv5 of the rule and what the flag derives from."""
    return str(uuid5(_NAMESPACE, "|".join([rule, *(str(part) for part in derived_from)])))


def raise_flag(
    rule: str,
    rules: RuleSet,
    place: Place,
    derived_from: tuple[object, ...],
    begin: datetime,
    end: datetime | None,
    facts: dict[str, Any],
    *,
    session_id: str | None = None,
) -> Flag | None:
    """The flag, or `None` where the rule is switched off."""
    settings = getattr(rules.rules, rule)
    if not settings.enabled:
        return None
    return Flag(
        flag_id=flag_id(rule, *derived_from),
        rule=rule,
        rules_hash=rules.hash,
        severity=settings.severity,
        place=place,
        begin=begin,
        end=end,
        facts=facts,
        session_id=session_id,
    )


def visible_facts(facts: Mapping[str, Any], *, inspection: bool) -> dict[str, Any]:
    """A flag's facts without those that the unit's own chain may not know."""
    return {
        name: value for name, value in facts.items() if inspection or name not in _PLACES_IN_LOGS
    }


@dataclass(slots=True)
class Condition:
    """Something that may go on too long; `flag` once it has."""

    rule: str
    begin: datetime
    sequence: int  # of the event that began it
    session_id: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    flag: Flag | None = None


def judge(
    condition: Condition,
    until: datetime,
    rules: RuleSet,
    calendar: Calendar,
    place: Place,
    *,
    is_over: bool,
) -> Flag | None:
    """The condition's flag if it is new or now over: one flag with a beginning and an end.

    Measured in seconds of opening hours: a wait before the doors open is nobody's fault.
    """
    rule: TimedRule = getattr(rules.rules, condition.rule)
    elapsed_s = (until - condition.begin).total_seconds()
    is_new = condition.flag is None
    if is_new:
        if elapsed_s < rule.threshold_s:
            return None
        open_s = calendar.open_seconds(condition.begin, until)
        if open_s < rule.threshold_s:
            return None
        condition.flag = _proven(condition, until, open_s, rules, place)
    if condition.flag is None or not (is_new or is_over):
        return None
    if is_over:
        condition.flag.end = until
        condition.flag.facts["open_s"] = round(calendar.open_seconds(condition.begin, until), 3)
    return condition.flag


def _proven(
    condition: Condition, until: datetime, open_s: float, rules: RuleSet, place: Place
) -> Flag | None:
    origin = (
        place.device,
        place.epoch,
        place.desk,
        condition.sequence,
        condition.begin.isoformat(),
    )
    facts: dict[str, Any] = {
        "began_with": {"epoch": place.epoch, "sequence": condition.sequence},
        "threshold_s": getattr(rules.rules, condition.rule).threshold_s,
        "proven_at": until.isoformat(),
        "proven_s": round(open_s, 3),
        **condition.details,
    }
    return raise_flag(
        condition.rule,
        rules,
        place,
        origin,
        condition.begin,
        None,
        facts,
        session_id=condition.session_id,
    )
