"""A second opinion on presence: where a detector of people, or of faces, saw somebody.

It may make a statement surer, never less sure, and it decides no state: such detectors miss people
from behind and seated ones, and can be fooled. It says *that* there is somebody, never who.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from edge_agent.core.desk_zones import Point, Zone


class Box(NamedTuple):
    """A rectangle in which somebody was seen, in shares of the picture's width and height."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> Point:
        """Where its diagonals meet."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def find_confirmed(zones: Iterable[Zone], boxes: Iterable[Box]) -> set[Zone]:
    """The zones in which somebody was seen.

    One figure is in one zone: of those that hold its middle, the one whose centre is nearest.
    """
    candidates = tuple(zones)
    confirmed = set()
    for middle in (box.middle for box in boxes):
        holding = [zone for zone in candidates if zone.holds(middle)]
        if holding:
            confirmed.add(min(holding, key=lambda zone: math.dist(zone.centre(), middle)))
    return confirmed


def raise_confidence(confidence: float) -> float:
    """Half of the doubt is gone: a convention, as the margin itself is, and no probability."""
    return round((1 + confidence) / 2, 2)
