"""The chief's page: each unit's month, for whoever asks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from sqlmodel import Session

from central_server.domain.permissions import FlagScope, UnitScope
from central_server.domain.rules import RuleHistory
from central_server.domain.scorecards import (
    SATISFIED_FROM,
    Advice,
    UnitMonth,
    add_up,
    advise,
)
from central_server.storage import flag_lists
from central_server.storage import scorecards as score_store
from central_server.storage.flag_lists import FlagFilter
from central_server.storage.scorecards import WatchedDesk
from web.pages import LOCAL_TIME

TOTAL = ""  # the row of all units together


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month at the desks."""

    year: int
    month: int

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        return self.following.first - timedelta(days=1)

    @property
    def following(self) -> "Month":
        """The month after."""
        return month_of(self.first + timedelta(days=31))

    @property
    def previous(self) -> "Month":
        """The month before."""
        return month_of(self.first - timedelta(days=1))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The month of all units of a scope that have desks, the total, and what to do."""

    months: list[UnitMonth]
    total: UnitMonth
    advice: list[Advice]
    shows_ratings: bool  # not before the month is over, for the unit's own chain
    suppresses_small: bool


def month_of(day: date) -> Month:
    """The month that a day lies in."""
    return Month(day.year, day.month)


def local_midnight(day: date) -> datetime:
    """When that day begins at the desks."""
    return datetime(day.year, day.month, day.day, tzinfo=LOCAL_TIME)


def read_scorecard(
    db: Session,
    units: UnitScope,
    flags: FlagScope,
    month: Month,
    *,
    rules: RuleHistory,
    now: datetime,
    sees_feedback: bool,
) -> Scorecard:
    """Figures of the scope's units, of the running month so far.

    Who may not see feedback gets ratings of past months only, and none under five answers
    (DESIGN.md, who may know).
    """
    since, until = local_midnight(month.first), local_midnight(month.following.first)
    shows_ratings = sees_feedback or until <= now
    sessions = score_store.count_sessions(db, units, since, until)
    ratings = (
        score_store.count_ratings(db, units, since, until, SATISFIED_FROM) if shows_ratings else {}
    )
    observed = score_store.sum_observed(db, units, month.first, month.last)
    opening = _opening_hours(
        score_store.list_watched(db, units), month.first, min(until, now), rules
    )
    flagged = flag_lists.count_by_unit(db, flags, FlagFilter(since=since, until=until))
    critical = flag_lists.count_by_unit(
        db, flags, FlagFilter(since=since, until=until, severity="critical")
    )
    silent = score_store.count_silent_devices(db, units)
    months = [
        UnitMonth(
            unit_id=unit,
            desks=desks,
            sessions=sessions.get(unit, (0, 0))[0],
            uncertain_sessions=sessions.get(unit, (0, 0))[1],
            ratings=ratings.get(unit, (0, 0))[0],
            satisfied=ratings.get(unit, (0, 0))[1],
            opening_s=opening.get(unit, 0.0),
            observed_s=observed.get(unit, 0.0),
            open_flags=flagged.get(unit, 0),
            critical_flags=critical.get(unit, 0),
            silent_devices=silent.get(unit, 0),
        )
        for unit, desks in score_store.count_desks(db, units).items()
    ]
    total = add_up(months, TOTAL, suppress_small=not sees_feedback)
    return Scorecard(months, total, advise(months), shows_ratings, not sees_feedback)


def _opening_hours(
    desks: Iterable[WatchedDesk], first: date, until: datetime, rules: RuleHistory
) -> dict[str, float]:
    """For each unit: seconds of its desks' opening hours from that day on, by the calendar.

    Also of days from which nothing came: a silent box must not look like a perfect one.
    """
    counted = cache(lambda schedule, begin: _open_seconds(schedule, begin, until, rules))
    hours: dict[str, float] = {}
    for desk in desks:
        paired = None if desk.paired_at is None else desk.paired_at.astimezone(LOCAL_TIME).date()
        since = min(day for day in (paired, desk.first_day) if day is not None)
        seconds = counted(desk.schedule, max(first, since))
        hours[desk.unit_id] = hours.get(desk.unit_id, 0.0) + seconds
    return hours


def _open_seconds(schedule: str, first: date, until: datetime, rules: RuleHistory) -> float:
    """Each day by the rules that were in force when it began."""
    seconds, day = 0.0, first
    while (begin := local_midnight(day)) < until:
        day += timedelta(days=1)
        calendar = rules.at(begin).calendar(schedule)
        seconds += calendar.open_seconds(begin, min(local_midnight(day), until))
    return seconds
