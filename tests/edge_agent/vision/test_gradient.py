"""A gradient worked out where it is asked for is that of the whole picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.vision.gradient import Gradient, LocalGradient
from edge_agent.vision.windows import Window

HEIGHT, WIDTH = 30, 40
PICTURE = np.random.default_rng(5).uniform(0, 255, (HEIGHT, WIDTH)).astype(np.float32)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    top, left = draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, WIDTH - 1))
    bottom, right = draw(st.integers(top + 1, HEIGHT)), draw(st.integers(left + 1, WIDTH))
    return slice(top, bottom), slice(left, right)


@given(st.lists(windows(), min_size=1, max_size=4))
def test_every_part_is_that_of_the_whole_in_whatever_order_it_is_asked_for(
    asked: list[Window],
) -> None:
    whole, local = Gradient.of(PICTURE), LocalGradient(PICTURE)
    for window in asked:
        there, part = whole.part(window), local.part(window)
        assert part.across == pytest.approx(there.across, abs=1e-3)
        assert part.down == pytest.approx(there.down, abs=1e-3)
        assert part.strength == pytest.approx(there.strength, abs=1e-3)


def test_a_slope_of_a_level_a_pixel_is_eight_wherever_it_is_looked_at() -> None:
    slope = np.tile(np.arange(WIDTH, dtype=np.float32), (HEIGHT, 1))
    local = LocalGradient(slope)
    assert local.part((slice(5, 9), slice(5, 9))).across == pytest.approx(8)
    assert local.part((slice(5, 9), slice(5, 9))).down == pytest.approx(0)
