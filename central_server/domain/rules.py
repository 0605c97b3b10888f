"""The rule set: thresholds, severities and opening hours, typed, dated and named by its content.

Takes the text of `configs/flag_rules.yaml`, opens no file. A result always follows from the set in
force at the time of the fact, so a past result stays as it was under the rules of its day.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import holidays
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from central_server.domain.calendars import WEEKDAYS, Calendar, Hours
from central_server.domain.yaml_lines import WrongFileError, explain, parse_mapping
from event_protocol.canonical import canonical_bytes, sha256_hex
from event_protocol.feedback import ComplaintReason

DEFAULT_SCHEDULE = "default"
_HOURS = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)")
_LONGEST_S = 86_400


class Severity(StrEnum):
    """How grave a flag is; `critical` notifies people at once."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class _Part(BaseModel):
    """A misspelt name is an error, not a rule that never fires."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_hours(text: str) -> str:
    parse_hours(text)
    return text


def parse_hours(text: str) -> Hours:
    """`07:00-11:30` as two local times; raises `ValueError` that says what is expected."""
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError("opening hours are written like 07:00-11:30")
    begin, end = time.fromisoformat(match[1]), time.fromisoformat(match[2])
    if begin >= end:
        raise ValueError("opening hours end after they begin")
    return begin, end


def _check_order(hours: tuple[str, ...]) -> tuple[str, ...]:
    parsed = [parse_hours(text) for text in hours]
    if any(former[1] > latter[0] for former, latter in pairwise(parsed)):
        raise ValueError("opening hours stand in order and do not overlap")
    return hours


def _check_weekday(name: str) -> str:
    if name not in WEEKDAYS:
        raise ValueError(f"a weekday is expected: {', '.join(WEEKDAYS)}")
    return name


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("not a time zone, as in Asia/Ho_Chi_Minh") from error
    return name


Weekday = Annotated[str, AfterValidator(_check_weekday)]
OpeningHours = Annotated[str, AfterValidator(_check_hours)]
Day = Annotated[tuple[OpeningHours, ...], AfterValidator(_check_order)]
Week = dict[Weekday, Day]
Seconds = Annotated[int, Field(ge=1, le=_LONGEST_S)]


class Rule(_Part):
    """What every rule has."""

    enabled: bool = True
    severity: Severity


class TimedRule(Rule):
    """Fires when its condition has lasted so many seconds of the desk's opening hours."""

    threshold_s: Seconds


class ComplaintRule(Rule):
    """`severity` is that of a low rating alone; a reason counts if it is graver."""

    reasons: dict[ComplaintReason, Severity]


class Rules(_Part):
    """One entry for each rule code; `docs/FLAG_RULES.md` says what each means."""

    complaint: ComplaintRule
    long_wait: TimedRule
    officer_absent: TimedRule
    desk_unattended: TimedRule
    abandoned_session: TimedRule
    camera_tampered: TimedRule
    camera_lost: TimedRule
    device_silent: TimedRule
    sequence_gap: Rule
    broken_chain: Rule
    wrong_clock: Rule = Rule(severity=Severity.MAJOR)  # sets from before it know nothing of it


class RuleSet(_Part):
    """What is hashed, logged and applied; `closed_days` are holidays and days off, resolved."""

    time_zone: Annotated[str, AfterValidator(_check_zone)]
    closed_days: tuple[date, ...]
    worked_days: dict[date, Weekday]
    schedules: dict[str, Week]
    rules: Rules

    @cached_property
    def content(self) -> dict[str, Any]:
        """The set as JSON values."""
        return self.model_dump(mode="json")

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical content: the set's name."""
        return sha256_hex(canonical_bytes(self.content))

    @cached_property
    def _calendars(self) -> dict[str, Calendar]:
        zone, closed = ZoneInfo(self.time_zone), frozenset(self.closed_days)
        return {
            name: Calendar(
                zone,
                {day: [parse_hours(text) for text in hours] for day, hours in week.items()},
                closed,
                self.worked_days,
            )
            for name, week in self.schedules.items()
        }

    def calendar(self, schedule: str) -> Calendar:
        """That schedule's opening hours; those of `default` if the set has no such schedule."""
        return self._calendars.get(schedule) or self._calendars[DEFAULT_SCHEDULE]


class RuleHistory:
    """All rule sets ever activated, by the event time from which each applies."""

    def __init__(self, activated: Iterable[tuple[datetime, RuleSet]]) -> None:
        """`activated` in the order of activation: of two from one instant the later counts."""
        by_time = dict(activated)
        self._times = sorted(by_time)
        self._sets = [by_time[at] for at in self._times]
        if not self._sets:
            raise ValueError("no rule set was ever activated")

    def at(self, time: datetime) -> RuleSet:
        """The set in force then; before the first, the first."""
        return self._sets[max(0, bisect_right(self._times, time) - 1)]


class _Holidays(_Part):
    country: str = Field(pattern="^[A-Z]{2}$")
    first_year: int = Field(ge=2000, le=2100)
    last_year: int = Field(ge=2000, le=2100)


def _require_default(schedules: Mapping[str, Week]) -> Mapping[str, Week]:
    if DEFAULT_SCHEDULE not in schedules:
        raise ValueError(f"a schedule named {DEFAULT_SCHEDULE} is needed")
    return schedules


class _WorkedDay(_Part):
    day: date
    like: Weekday  # whose hours it has


class _RulesFile(_Part):
    """The file as people write it."""

    time_zone: Annotated[str, AfterValidator(_check_zone)]
    holidays: _Holidays
    closed_days: tuple[date, ...] = ()
    worked_days: tuple[_WorkedDay, ...] = ()
    schedules: Annotated[dict[str, Week], AfterValidator(_require_default)]
    rules: Rules


def parse_rules(text: str, name: str) -> RuleSet:
    """The rule set that the file says; raises `WrongFileError`, a line for each thing wrong."""
    mapping = parse_mapping(text, name)
    try:
        file = _RulesFile.model_validate(mapping)
    except ValidationError as error:
        raise WrongFileError(explain(error, text, name)) from error
    return RuleSet(
        time_zone=file.time_zone,
        closed_days=tuple(sorted({*_list_holidays(file.holidays), *file.closed_days})),
        worked_days={one.day: one.like for one in file.worked_days},
        schedules=file.schedules,
        rules=file.rules,
    )


def _list_holidays(wanted: _Holidays) -> Iterable[date]:
    years = range(wanted.first_year, wanted.last_year + 1)
    return holidays.country_holidays(wanted.country, years=years)
