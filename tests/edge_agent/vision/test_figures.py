"""Masks drawn by hand: who is whose where zones lie side by side, overlap or are the same place."""

import numpy as np
import pytest

from edge_agent.vision.figures import FigureSorter, Filling
from edge_agent.vision.frames import Mask

CITIZEN, OFFICER = (slice(0, 100), slice(0, 60)), (slice(0, 100), slice(50, 110))
Rectangle = tuple[slice, slice]


def mask(*rectangles: Rectangle) -> Mask:
    drawn = np.zeros((100, 120), np.bool_)
    for rectangle in rectangles:
        drawn[rectangle] = True
    return drawn


def sort(changed: Mask, *zones: Rectangle) -> list[Filling]:
    return FigureSorter([mask(zone) for zone in zones or (CITIZEN, OFFICER)]).sort(changed)


def test_nobody() -> None:
    assert sort(mask()) == [Filling(0, 0, ()), Filling(0, 0, ())]


def test_the_arm_of_a_citizen_over_the_desk_is_no_officer() -> None:
    body, arm = (slice(20, 95), slice(5, 40)), (slice(50, 60), slice(40, 95))
    citizen, officer = sort(mask(body, arm))
    assert citizen.own > 0.4
    assert (officer.own, officer.figures) == (0, ())
    assert officer.foreign == pytest.approx(450 / 6000)


def test_two_people_who_touch_are_both_there() -> None:
    left, right = (slice(20, 95), slice(5, 55)), (slice(10, 60), slice(55, 100))
    citizen, officer = sort(mask(left, right))
    assert min(citizen.own, officer.own) > 0.3
    assert citizen.foreign == officer.foreign == 0


def test_somebody_beside_the_officer_who_does_not_touch_is_another_figure() -> None:
    body, officers = (slice(20, 95), slice(5, 40)), (slice(10, 40), slice(70, 90))
    citizen, officer = sort(mask(body, officers))
    assert officer.own == pytest.approx(0.1)
    assert len(citizen.figures) == len(officer.figures) == 1


def test_who_stands_where_zones_overlap_belongs_to_the_one_that_is_filled_more() -> None:
    citizen, officer = sort(mask((slice(20, 95), slice(15, 60))))
    assert citizen.own > 0.4
    assert officer.own == 0
    assert officer.foreign > 0.1


def test_two_shapes_of_the_same_place_see_the_same_person() -> None:
    inner, outer = (slice(10, 90), slice(10, 60)), (slice(0, 100), slice(0, 120))
    narrow, wide = sort(mask((slice(20, 80), slice(20, 50))), inner, outer)
    assert narrow.own == pytest.approx(0.45)
    assert wide.own == pytest.approx(0.15)
    assert narrow.foreign == wide.foreign == 0


def test_figures_come_with_their_shape_the_largest_first() -> None:
    slim, bag = (slice(10, 90), slice(2, 22)), (slice(80, 90), slice(30, 50))
    (filling,) = sort(mask(slim, bag), CITIZEN)
    assert [figure.breadth for figure in filling.figures] == [0.25, 2]
    assert filling.figures[0].share > filling.figures[1].share > 0.02
