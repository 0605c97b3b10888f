"""Whose the changed pixels are, where zones lie side by side or overlap in the picture.

Somebody is one connected figure. One that fills zone A and only reaches into zone B (an arm over
the desk, a head before the officer's chair) is nobody in B; what it hides of B can't be known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.zone_reading import Figure
from edge_agent.vision.frames import Mask

# An arm across the desk fills a tenth of the other's zone; somebody behind it a quarter and more.
OWN_SHARE = 0.2
LEAST_FIGURE = 0.02
# Zones that share more than half of the smaller one are two shapes for the same place.
SAME_PLACE = 0.5


@dataclass(frozen=True, slots=True)
class Filling:
    """How much of a zone its own figures fill, and how much somebody else's."""

    own: float
    foreign: float
    figures: tuple[Figure, ...]


class FigureSorter:
    """Sorts figures to the zones whose masks were given."""

    def __init__(self, masks: Sequence[Mask]) -> None:
        self._pixels = [np.flatnonzero(mask) for mask in masks]
        self._areas = [pixels.size for pixels in self._pixels]
        self._rivals = [
            (a, b, np.flatnonzero(masks[a] & ~masks[b]), np.flatnonzero(masks[b] & ~masks[a]))
            for a in range(len(masks))
            for b in range(a)
            if (masks[a] & masks[b]).sum() < SAME_PLACE * min(self._areas[a], self._areas[b])
        ]

    def sort(self, changed: Mask) -> list[Filling]:
        """For each zone what fills it."""
        total, found, stats, _ = cv2.connectedComponentsWithStats(
            changed.view(np.uint8), connectivity=8, ltype=cv2.CV_16U
        )
        labels = np.asarray(found).ravel()
        counts = [np.bincount(labels[pixels], minlength=total) for pixels in self._pixels]
        foreign = [np.zeros(total, np.bool_) for _ in self._pixels]
        for a, b, only_a, only_b in self._rivals:
            is_shared = (counts[a] > 0) & (counts[b] > 0)
            if is_shared[1:].any():
                in_a, in_b = _shares(labels, only_a, total), _shares(labels, only_b, total)
                foreign[a] |= is_shared & (in_a < in_b) & (in_a < OWN_SHARE)
                foreign[b] |= is_shared & (in_b <= in_a) & (in_b < OWN_SHARE)
        return [
            _fill(count / area, other, np.asarray(stats))
            for count, area, other in zip(counts, self._areas, foreign, strict=True)
        ]


def _shares(
    labels: npt.NDArray[Any], pixels: npt.NDArray[np.intp], total: int
) -> npt.NDArray[np.float64]:
    return np.bincount(labels[pixels], minlength=total) / max(1, pixels.size)


def _fill(
    shares: npt.NDArray[np.float64], is_foreign: Mask, stats: npt.NDArray[np.int32]
) -> Filling:
    shares[0] = 0  # the unchanged rest
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    own = np.flatnonzero((shares >= LEAST_FIGURE) & ~is_foreign)
    largest_first = own[np.argsort(-shares[own])]
    return Filling(
        float(shares[~is_foreign].sum()),
        float(shares[is_foreign].sum()),
        tuple(Figure(float(shares[n]), float(width[n] / height[n])) for n in largest_first),
    )
