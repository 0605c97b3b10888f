"""A frame as the judgement of trust sees it: small, grey, and block by block its structure.

Structure is the brightness gradient: light that changes leaves it where it is, a hand takes it
away, a camera that was turned puts it elsewhere, and one out of focus loses the finest of it first.
"""

from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.frames import FINE_WIDTH, Frame, GreyImage
from edge_agent.vision.view_points import Points, find_points

COLUMNS = 16  # blocks across: a head at the desk is about two of them wide
# Mean square of the gradient, as `View.energy`: a wall's own shading stays below, the faintest
# joints of a floor are above.
LEAST_STRUCTURE = 80.0
RICH = 0.3  # of the blocks have it; a view with less is plain
SMOOTHEST = 1 / 12  # of the blocks show nothing but noise

Field = npt.NDArray[np.float32]
Blocks = npt.NDArray[np.float32]
"""One value a block, rows × `COLUMNS`."""


class View:
    """One picture; measures that few judgements need are taken when they are asked for."""

    def __init__(self, fine: GreyImage, frame_width: int = FINE_WIDTH) -> None:
        """`fine`: see `Frame.fine`; `frame_width`: of the frame itself."""
        self.frame_width = frame_width
        self.fine = fine
        self.coarse = _bytes(cv2.pyrDown(self.fine))
        self.rows = max(1, round(COLUMNS * fine.shape[0] / fine.shape[1]))
        smooth = cv2.GaussianBlur(self.coarse, (5, 5), 0)
        self.across = _field(cv2.Sobel(smooth, cv2.CV_32F, 1, 0))
        self.down = _field(cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
        self.energy = self.mean(self.across * self.across + self.down * self.down)

    @classmethod
    def of(cls, frame: Frame) -> "View":
        """That of a frame of any size."""
        return cls(frame.fine, frame.width)

    def mean(self, values: npt.NDArray[np.generic]) -> Blocks:
        """The mean of each block of values that cover the picture at any resolution."""
        size = (COLUMNS, self.rows)
        return _field(cv2.resize(_field(values), size, interpolation=cv2.INTER_AREA))

    @cached_property
    def brightness(self) -> Blocks:
        """Mean brightness, 0 to 255."""
        return self.mean(self.coarse)

    @cached_property
    def detail(self) -> Blocks:
        """Mean square of what a blur of one fine pixel takes away; noise is part of it."""
        lost = cv2.absdiff(self.fine, cv2.GaussianBlur(self.fine, (5, 5), 0))
        return self.mean(_field(cv2.multiply(lost, lost, dtype=cv2.CV_32F)))

    @cached_property
    def noise(self) -> float:
        """What noise adds to `energy`, about as much as to `detail`.

        The lesser of both in the smoothest blocks: a bag's coarse pattern is no noise.
        """
        return min(self.least_energy, self._least_detail)

    @cached_property
    def least_energy(self) -> float:
        """`energy` of the smoothest blocks."""
        return quantile(self.energy, SMOOTHEST)

    @cached_property
    def _least_detail(self) -> float:
        return quantile(self.detail, SMOOTHEST)

    @cached_property
    def sharpness(self) -> Blocks:
        """Fine against coarse structure, noise left out; contrast does not change it."""
        detail = np.maximum(self.detail - self._least_detail, 0)
        energy = np.maximum(self.energy - self.least_energy, 1)
        return _field(detail / energy)

    @cached_property
    def is_plain(self) -> bool:
        """Whether it has so little structure that its smallest spots must be compared as well."""
        return float((self.energy > LEAST_STRUCTURE).mean()) < RICH

    @cached_property
    def points(self) -> Points:
        """The smallest spots; asked for where the reference is plain."""
        return find_points(self.fine, self.coarse.shape, (self.rows, COLUMNS))

    @cached_property
    def strength(self) -> Field:
        """Length of the gradient, at the coarse resolution."""
        return _field(cv2.magnitude(self.across, self.down))


def quantile(values: npt.NDArray[np.generic], share: float) -> float:
    """The value that this share of the others stays below; NumPy's own takes five times as long."""
    place = min(values.size - 1, int(share * values.size))
    return float(np.partition(values, place, axis=None)[place])


def is_mostly_below(values: npt.NDArray[np.number[Any]], share: float, limit: float) -> bool:
    """`quantile(values, share) < limit`, for which nothing need be put in order."""
    place = min(values.size - 1, int(share * values.size))
    return int(np.count_nonzero(values < limit)) > place


def _field(values: npt.ArrayLike) -> Field:
    return np.asarray(values, dtype=np.float32)


def _bytes(values: npt.ArrayLike) -> GreyImage:
    return np.asarray(values, dtype=np.uint8)
