"""Figures of a month: published values, suppression, and the order of what to do."""

import pytest

from central_server.domain.scorecards import (
    UnitMonth,
    add_up,
    advise,
    observed_share,
    rating_figure,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (3, 3, 0.438, 1.0),  # DOMAIN.md
        (291, 300, 0.944, 0.984),  # DOMAIN.md for the lower bound
        (0, 10, 0.0, 0.278),  # Newcombe 1998, table I: 0/10 by method 3
        (81, 263, 0.255, 0.366),  # Newcombe 1998, table I
    ],
)
def test_wilson_against_published_values(
    successes: int, trials: int, low: float, high: float
) -> None:
    interval = wilson_interval(successes, trials)
    assert interval.low == pytest.approx(low, abs=0.0006)
    assert interval.high == pytest.approx(high, abs=0.0006)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (4, 3), (-1, 3)])
def test_no_share_of_nothing(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson_interval(successes, trials)


def test_a_figure_has_its_coverage_of_what_was_seen() -> None:
    month = UnitMonth("u", sessions=120, uncertain_sessions=20, ratings=25, satisfied=20)
    figure = rating_figure(month, suppress_small=True)
    assert figure is not None
    assert (figure.share, figure.coverage) == (0.8, 0.25)
    unseen = rating_figure(UnitMonth("u", ratings=5, satisfied=5), suppress_small=True)
    assert unseen is not None
    assert unseen.coverage is None, "ratings without a session that anybody saw"


@pytest.mark.parametrize(
    ("ratings", "suppress", "shown"), [(0, False, False), (4, True, False), (4, False, True)]
)
def test_few_answers_tell_who_spoke(ratings: int, suppress: bool, shown: bool) -> None:
    figure = rating_figure(UnitMonth("u", ratings=ratings), suppress_small=suppress)
    assert (figure is not None) == shown


def test_the_total_does_not_give_away_what_was_suppressed() -> None:
    months = [
        UnitMonth("a", sessions=10, ratings=7, satisfied=6, opening_s=100.0, observed_s=50.0),
        UnitMonth("b", sessions=5, ratings=3, satisfied=0, opening_s=100.0, observed_s=100.0),
    ]
    total = add_up(months, "", suppress_small=True)
    assert (total.sessions, total.ratings, total.satisfied) == (15, 7, 6)
    assert observed_share(total) == 0.75
    assert add_up(months, "", suppress_small=False).ratings == 10
    assert observed_share(UnitMonth("c")) is None


def test_the_gravest_comes_first_on_monday() -> None:
    months = [
        UnitMonth("fine", opening_s=10.0, observed_s=9.5),
        UnitMonth("flags", open_flags=3, opening_s=10.0, observed_s=10.0),
        UnitMonth("critical", open_flags=2, critical_flags=2),
        UnitMonth("silent", silent_devices=1, opening_s=10.0, observed_s=2.0),
    ]
    assert [(a.key.rsplit(".", 1)[1], a.unit_id) for a in advise(months)] == [
        ("critical", "critical"),
        ("silent", "silent"),
        ("observe", "silent"),
        ("flags", "flags"),
    ]
