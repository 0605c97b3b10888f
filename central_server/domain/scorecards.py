"""A unit's month in figures, and what to do on Monday. Every figure has its n and its coverage."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

# Under five answers a figure could tell who spoke (DESIGN.md, who may know).
MIN_ANSWERS = 5
SATISFIED_FROM = 4  # "neutral" does not count as satisfied
_Z_95 = 1.959963984540054  # standard normal quantile of 97.5 %


@dataclass(frozen=True, slots=True)
class Interval:
    """A share of 1 with its bounds."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class UnitMonth:
    """What was counted for one unit in one month; seconds of opening hours, numbers of others."""

    unit_id: str
    desks: int = 0
    sessions: int = 0
    uncertain_sessions: int = 0
    ratings: int = 0
    satisfied: int = 0
    opening_s: float = 0.0
    observed_s: float = 0.0
    open_flags: int = 0
    critical_flags: int = 0
    silent_devices: int = 0

    @property
    def observed_sessions(self) -> int:
        """Sessions of which the camera saw enough to tell what happened."""
        return self.sessions - self.uncertain_sessions


@dataclass(frozen=True, slots=True)
class RatingFigure:
    """Share of satisfied answers; `coverage` is answers ÷ observed sessions (`None`: none seen)."""

    answers: int
    share: float
    interval: Interval
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do; `key` is its message, `count` fills it in."""

    key: str
    unit_id: str
    count: float


def wilson_interval(successes: int, trials: int) -> Interval:
    """95 % score interval of a share (Wilson 1927, without continuity correction).

    Honest for small units: 3 of 3 gives 43.8–100 %, where the normal approximation gives 100–100.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is no share")
    share, z2 = successes / trials, _Z_95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def rating_figure(month: UnitMonth, *, suppress_small: bool) -> RatingFigure | None:
    """The month's ratings; `None` if there are none, or too few for this viewer."""
    if month.ratings == 0 or (suppress_small and month.ratings < MIN_ANSWERS):
        return None
    seen = month.observed_sessions
    return RatingFigure(
        answers=month.ratings,
        share=month.satisfied / month.ratings,
        interval=wilson_interval(month.satisfied, month.ratings),
        coverage=month.ratings / seen if seen else None,
    )


def observed_share(month: UnitMonth) -> float | None:
    """Share of the opening hours in which the desks were really observed.

    Devices' clocks may run some seconds ahead of ours: never more than all.
    """
    return min(1.0, month.observed_s / month.opening_s) if month.opening_s else None


def add_up(months: Sequence[UnitMonth], unit_id: str, *, suppress_small: bool) -> UnitMonth:
    """All units together. Ratings are added up only of units that show theirs: else the total
    less the shown ones would tell what was suppressed."""
    shown = [m for m in months if rating_figure(m, suppress_small=suppress_small) is not None]
    return UnitMonth(
        unit_id=unit_id,
        desks=sum(m.desks for m in months),
        sessions=sum(m.sessions for m in months),
        uncertain_sessions=sum(m.uncertain_sessions for m in months),
        ratings=sum(m.ratings for m in shown),
        satisfied=sum(m.satisfied for m in shown),
        opening_s=sum(m.opening_s for m in months),
        observed_s=sum(m.observed_s for m in months),
        open_flags=sum(m.open_flags for m in months),
        critical_flags=sum(m.critical_flags for m in months),
        silent_devices=sum(m.silent_devices for m in months),
    )


def advise(months: Sequence[UnitMonth], *, observed_target: float = 0.9) -> list[Advice]:
    """What to do on Monday, the most urgent first: mend what blinds us, then look into flags."""
    silent = [
        Advice("scorecards.do.silent", m.unit_id, m.silent_devices)
        for m in months
        if m.silent_devices
    ]
    critical = [
        Advice("scorecards.do.critical", m.unit_id, m.critical_flags)
        for m in months
        if m.critical_flags
    ]
    blind = [
        Advice("scorecards.do.observe", m.unit_id, share)
        for m in months
        if (share := observed_share(m)) is not None and share < observed_target
    ]
    flags = [
        Advice("scorecards.do.flags", m.unit_id, m.open_flags)
        for m in months
        if m.open_flags > m.critical_flags
    ]
    return [
        *sorted(critical, key=lambda a: -a.count),
        *sorted(silent, key=lambda a: -a.count),
        *sorted(blind, key=lambda a: a.count),
        *sorted(flags, key=lambda a: -a.count),
    ]
