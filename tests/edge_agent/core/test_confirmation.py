"""Who was seen where, and that a second opinion can only make surer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.confirmation import Box, find_confirmed, raise_confidence
from edge_agent.core.desk_zones import Zone
from event_protocol.events import ZoneRole

LEFT = Zone("left", ZoneRole.CITIZEN, ((0.1, 0.1), (0.6, 0.1), (0.6, 0.9), (0.1, 0.9)))
RIGHT = Zone("right", ZoneRole.OFFICER, ((0.4, 0.1), (0.9, 0.1), (0.9, 0.9), (0.4, 0.9)))
ZONES = (LEFT, RIGHT)


def around(x: float, y: float) -> Box:
    return Box(x - 0.05, y - 0.2, x + 0.05, y + 0.2)


@pytest.mark.parametrize(
    ("x", "y", "confirmed"),
    [
        (0.2, 0.5, {LEFT}),
        (0.8, 0.5, {RIGHT}),
        (0.45, 0.5, {LEFT}),  # both zones hold it; one figure is in one of them
        (0.55, 0.5, {RIGHT}),
        (0.95, 0.5, set()),
        (0.2, 0.95, set()),
    ],
)
def test_a_figure_is_in_the_zone_that_holds_its_middle(
    x: float, y: float, confirmed: set[Zone]
) -> None:
    assert find_confirmed(ZONES, [around(x, y)]) == confirmed


def test_each_of_several_confirms_its_own() -> None:
    assert find_confirmed(ZONES, [around(0.2, 0.5), around(0.8, 0.5)]) == {LEFT, RIGHT}
    assert find_confirmed(ZONES, []) == set()
    assert find_confirmed((), [around(0.2, 0.5)]) == set()


@given(st.floats(0, 1))
def test_confidence_is_raised_never_lowered_and_stays_one(confidence: float) -> None:
    sure = round(confidence, 2)
    assert sure <= raise_confidence(sure) <= 1
    assert raise_confidence(sure) > sure or sure >= 0.99
