"""Who comes to one desk on one day, and when its officer is there: spans of time, no events yet.

Pure: the same random source gives the same day.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from central_server.simulation.habits import Habits, Minutes, Mishap

LAST_CALL = timedelta(minutes=20)  # before closing: who comes later is asked to come back
SHORTEST_SERVICE = timedelta(minutes=2)
LONGEST_SERVICE = timedelta(minutes=25)
SERVICE_SPREAD = 0.5  # of the logarithm: one in forty takes more than 2.7 times the median
TURNOVER_S = (12, 45)  # from one visitor's leaving the chair to the next one's sitting down
LUNCH_OVERRUN = timedelta(minutes=10)  # how long an officer stays on for whoever sits there


@dataclass(frozen=True, slots=True)
class Span:
    """From `begin` up to `end` (UTC)."""

    begin: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it lasts."""
        return self.end - self.begin

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share any time."""
        return self.begin < other.end and other.begin < self.end


@dataclass(frozen=True, slots=True)
class Visit:
    """One visitor: came in, sat down at the desk, left it; not served if patience ended."""

    arrived_at: datetime
    seat: Span
    was_served: bool


def minutes_between(random: Random, bounds: Minutes) -> timedelta:
    """A length of time drawn evenly between the two."""
    return timedelta(minutes=random.uniform(*bounds))


def officer_spans(
    random: Random, habits: Habits, opening: Sequence[Span], mishaps: Sequence[Mishap]
) -> list[Span]:
    """When the officer sits at the desk: opening hours less breaks, lateness and absences."""
    spans = []
    for number, period in enumerate(opening):
        begin = period.begin - minutes_between(random, (2, 10))
        if number == 0 and Mishap.OFFICER_LATE in mishaps:
            begin = period.begin + minutes_between(random, habits.late_minutes)
        spans.append(Span(begin, period.end + LUNCH_OVERRUN))
    away = [b for period in opening for b in _breaks(random, habits, period)]
    if Mishap.OFFICER_AWAY in mishaps:
        away.append(_somewhen(random, opening, minutes_between(random, habits.away_minutes)))
    for span in away:
        spans = [rest for present in spans for rest in subtract(present, span)]
    return spans


def _breaks(random: Random, habits: Habits, period: Span) -> list[Span]:
    breaks: list[Span] = []
    at = period.begin
    while True:
        at += timedelta(hours=random.expovariate(habits.breaks_per_hour))
        length = minutes_between(random, habits.break_minutes)
        if at + length > period.end - LAST_CALL:
            return breaks
        breaks.append(Span(at, at + length))
        at += length + timedelta(minutes=10)


def _somewhen(random: Random, opening: Sequence[Span], length: timedelta) -> Span:
    """A span of that length within one of the opening periods (cut if none is as long)."""
    period = random.choice(opening)
    slack = max(period.length - length, timedelta())
    begin = period.begin + slack * random.random()
    return Span(begin, min(begin + length, period.end))


def somewhen(random: Random, opening: Sequence[Span], bounds: Minutes) -> Span:
    """A span of a length between the bounds, anywhere within opening hours."""
    return _somewhen(random, opening, minutes_between(random, bounds))


def subtract(span: Span, hole: Span) -> list[Span]:
    """What is left of `span` without `hole`: nothing, one piece or two."""
    if not span.overlaps(hole):
        return [span]
    pieces = [Span(span.begin, hole.begin), Span(hole.end, span.end)]
    return [piece for piece in pieces if piece.begin < piece.end]


def make_visits(
    random: Random, habits: Habits, opening: Sequence[Span], officer: Sequence[Span]
) -> list[Visit]:
    """The day's visitors in order: one chair, the others wait; who waits too long leaves."""
    visits: list[Visit] = []
    for period in opening:
        free_at = period.begin
        for arrived_at in _arrivals(random, habits.visitors_per_hour, period):
            sits_at = max(arrived_at, free_at) + timedelta(seconds=random.uniform(*TURNOVER_S))
            if sits_at > period.end - LAST_CALL / 2:
                continue  # sees the queue and comes another day
            left_at, was_served = _leaves(random, habits, sits_at, officer, period.end)
            visits.append(Visit(arrived_at, Span(sits_at, left_at), was_served))
            free_at = left_at
    return visits


def _arrivals(random: Random, per_hour: float, period: Span) -> list[datetime]:
    """A Poisson process with a peak early in the period, by thinning (Lewis and Shedler 1979)."""
    arrivals: list[datetime] = []
    at = period.begin
    while True:
        at += timedelta(hours=random.expovariate(2 * per_hour))
        if at >= period.end - LAST_CALL:
            return arrivals
        if random.random() < _crowd((at - period.begin) / period.length) / 2:
            arrivals.append(at)


def _crowd(share: float) -> float:
    """How busy that part of a half-day is, 1 on average over it and never above 2."""
    return 0.55 + 1.35 * math.exp(-(((share - 0.3) / 0.2) ** 2))


def _leaves(
    random: Random, habits: Habits, sits_at: datetime, officer: Sequence[Span], closing: datetime
) -> tuple[datetime, bool]:
    """When the visitor leaves the chair, and whether the officer was there for the whole matter."""
    gives_up_at = sits_at + minutes_between(random, habits.patience_minutes)
    drawn = timedelta(
        minutes=random.lognormvariate(math.log(habits.service_minutes), SERVICE_SPREAD)
    )
    needed = min(max(drawn, SHORTEST_SERVICE), LONGEST_SERVICE)
    begun = False
    for span in officer:
        begin = max(span.begin, sits_at)
        if begin >= span.end:
            continue
        if not begun and begin > gives_up_at:
            break
        begun = True
        if begin + needed <= span.end:
            return begin + needed, True
        needed -= span.end - begin
        if span.end >= closing:
            return span.end - timedelta(seconds=40), True
    return gives_up_at, False
