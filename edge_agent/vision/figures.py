"""Whose the changed pixels are, where zones lie side by side or overlap in the picture.

Somebody is one connected figure. One that fills zone A and only reaches into zone B (an arm over
the desk, a head before the officer's chair) is nobody in B; what it hides of B can't be known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.zone_reading import Figure
from edge_agent.vision.frames import Mask
from edge_agent.vision.windows import NOWHERE, Window, intersect, surround, within

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


NOBODY = Filling(0.0, 0.0, ())


class FigureSorter:
    """Sorts figures to the zones whose masks were given."""

    def __init__(self, masks: Sequence[Mask]) -> None:
        self._zones = [_Area.of(mask) for mask in masks]
        self._rivals = [
            (a, b, _Area.of(masks[a] & ~masks[b]), _Area.of(masks[b] & ~masks[a]))
            for a in range(len(masks))
            for b in range(a)
            if (masks[a] & masks[b]).sum()
            < SAME_PLACE * min(self._zones[a].size, self._zones[b].size)
        ]

    def sort(self, changed: Mask) -> list[Filling]:
        """For each zone what fills it."""
        window = surround(changed)
        if window is None:
            return [NOBODY] * len(self._zones)
        total, found, stats, _ = cv2.connectedComponentsWithStats(
            changed[window].view(np.uint8), connectivity=8, ltype=cv2.CV_16U
        )
        figures = _Figures(total, window, np.asarray(found))
        shares = [figures.share(zone) for zone in self._zones]
        foreign = [np.zeros(total, np.bool_) for _ in self._zones]
        for a, b, only_a, only_b in self._rivals:
            is_shared = (shares[a] > 0) & (shares[b] > 0)
            if is_shared.any():
                in_a, in_b = figures.share(only_a), figures.share(only_b)
                foreign[a] |= is_shared & (in_a < in_b) & (in_a < OWN_SHARE)
                foreign[b] |= is_shared & (in_b <= in_a) & (in_b < OWN_SHARE)
        return [
            _fill(share, other, np.asarray(stats))
            for share, other in zip(shares, foreign, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Area:
    """Some pixels of the picture: those of the window that are `inside`."""

    window: Window
    inside: Mask
    size: int

    @classmethod
    def of(cls, mask: Mask) -> "_Area":
        window = surround(mask) or NOWHERE
        return cls(window, mask[window].copy(), int(np.count_nonzero(mask)))


@dataclass(frozen=True, slots=True)
class _Figures:
    """`labels`: by pixel of the window the number of its figure, below `total`; 0: unchanged."""

    total: int
    window: Window
    labels: npt.NDArray[np.uint16]

    def share(self, area: _Area) -> npt.NDArray[np.float64]:
        """Of the area, by figure; none of the unchanged rest."""
        part = intersect(area.window, self.window)
        if part is None:
            return np.zeros(self.total)
        there = self.labels[within(part, self.window)][area.inside[within(part, area.window)]]
        shares = np.bincount(there, minlength=self.total) / max(1, area.size)
        shares[0] = 0
        return shares


def _fill(
    shares: npt.NDArray[np.float64], is_foreign: Mask, stats: npt.NDArray[np.int32]
) -> Filling:
    if not shares.any():
        return NOBODY
    width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    own = np.flatnonzero((shares >= LEAST_FIGURE) & ~is_foreign)
    largest_first = own[np.argsort(-shares[own])]
    return Filling(
        float(shares[~is_foreign].sum()),
        float(shares[is_foreign].sum()),
        tuple(Figure(float(shares[n]), float(width[n] / height[n])) for n in largest_first),
    )
