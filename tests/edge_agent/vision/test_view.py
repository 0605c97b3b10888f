"""The measures of a frame that need no picture to be understood."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.vision.view import is_mostly_below, quantile

LEVELS = st.lists(st.integers(0, 255), min_size=1, max_size=40)


@given(LEVELS, st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0]), st.integers(0, 255))
def test_what_is_mostly_below_has_its_quantile_there(
    levels: list[int], share: float, limit: int
) -> None:
    values = np.array(levels, np.uint8)
    assert is_mostly_below(values, share, limit) == (quantile(values, share) < limit)


def test_a_quantile_is_one_of_the_values() -> None:
    values = np.array([[5, 1], [4, 2]], np.float32)
    assert [quantile(values, share) for share in (0, 0.3, 0.5, 1)] == pytest.approx([1, 2, 4, 5])
