"""Opening hours of a desk: when a rule about the officer or the camera may hold at all. Pure.

Holidays are dates that the rule set itself holds, so a newer holiday library changes no past day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Hours = tuple[time, time]  # local, from and until
Interval = tuple[datetime, datetime]  # UTC, the end not included

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """One schedule. `worked` are swapped days, with the weekday whose hours they have."""

    zone: ZoneInfo
    week: Mapping[str, Iterable[Hours]]
    closed: frozenset[date]
    worked: Mapping[date, str]
    _known: dict[date, tuple[Interval, ...]] = field(default_factory=dict, repr=False)
    _last: list[tuple[datetime, datetime, date]] = field(default_factory=list, repr=False)

    def local_day(self, at: datetime) -> date:
        """The desk's own date at that instant."""
        # Asked several times for each event, nearly always of the day asked last.
        for begin, end, day in self._last:
            if begin <= at < end:
                return day
        day = at.astimezone(self.zone).date()
        midnights = (self._instant(day, time.min), self._instant(day + _DAY, time.min))
        self._last[:] = [(*midnights, day)]
        return day

    def day(self, day: date) -> tuple[Interval, ...]:
        """The opening intervals of one local day, in order."""
        known = self._known.get(day)
        if known is None:
            hours = self.week.get(self._weekday(day), ())
            known = self._known[day] = tuple(
                (self._instant(day, begin), self._instant(day, end)) for begin, end in sorted(hours)
            )
        return known

    def opening(self, begin: datetime, end: datetime) -> list[Interval]:
        """The parts of `begin`–`end` that lie within opening hours, in order."""
        found = []
        day, last = self.local_day(begin), self.local_day(end)
        while day <= last:
            for opens, closes in self.day(day):
                part = (max(opens, begin), min(closes, end))
                if part[0] < part[1]:
                    found.append(part)
            day += _DAY
        return found

    def open_seconds(self, begin: datetime, end: datetime) -> float:
        """How many seconds of `begin`–`end` lie within opening hours."""
        return sum((until - since).total_seconds() for since, until in self.opening(begin, end))

    def _weekday(self, day: date) -> str:
        if day in self.worked:
            return self.worked[day]
        return "" if day in self.closed else WEEKDAYS[day.weekday()]

    def _instant(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.zone).astimezone(UTC)
