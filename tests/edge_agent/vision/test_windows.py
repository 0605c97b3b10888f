"""The least rectangle around what there is, and what lies near it."""

import numpy as np

from edge_agent.vision.windows import (
    NOWHERE,
    holds,
    intersect,
    shift,
    surround,
    unite,
    widen,
    within,
)

SHAPE = (20, 30)


def test_all_of_it_is_surrounded_and_no_more() -> None:
    mask = np.zeros(SHAPE, np.bool_)
    assert surround(mask) is None
    assert mask[NOWHERE].size == 0
    mask[4, 7] = mask[9, 5] = True
    assert surround(mask) == (slice(4, 10), slice(5, 8))


def test_a_window_is_widened_as_far_as_there_is_picture() -> None:
    window = slice(4, 10), slice(5, 28)
    wide = widen(window, 5, SHAPE)
    assert wide == (slice(0, 15), slice(0, 30))
    picture = np.arange(600).reshape(SHAPE)
    assert (picture[wide][within(window, wide)] == picture[window]).all()
    assert shift(within(window, wide), wide) == window


def test_two_windows_are_united_and_intersected() -> None:
    one, other = (slice(2, 8), slice(5, 9)), (slice(6, 12), slice(0, 7))
    assert unite(one, other) == unite(other, one) == (slice(2, 12), slice(0, 9))
    assert intersect(one, other) == intersect(other, one) == (slice(6, 8), slice(5, 7))
    assert holds(unite(one, other), one)
    assert holds(one, one)
    assert not holds(one, other)


def test_windows_that_only_touch_share_nothing() -> None:
    one = slice(2, 8), slice(5, 9)
    assert intersect(one, (slice(8, 9), slice(5, 9))) is None
    assert intersect(one, (slice(2, 8), slice(0, 5))) is None
    assert intersect(one, NOWHERE) is None
