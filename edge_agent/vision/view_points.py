"""Small bright and dark spots: all that a plain view, as an empty yard, has to show.

A leaf or a stone of a few pixels vanishes in the gradients of a whole block, and still nothing
harmless takes all of them away or puts them elsewhere. They count by their place, hardly by their
strength, so that the contours of a passing car do not outweigh them.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Blocks = npt.NDArray[np.float32]

# Grey levels of the fine picture by which a spot must differ from what is around it: rounding and
# compression reach 2, and noise hardly ever so many times the usual pixel's difference.
LEAST_SPOT, ABOVE_USUAL = 2.0, 5.0
BRIGHTEST = 20.0  # grey levels above that; brighter ones count no more
HALF_WEIGHT = 1.0  # of what the coarse resolution leaves of a spot
LEAST_BREADTH = 0.1  # grey levels, instead of nothing in a denominator


@dataclass(frozen=True, slots=True)
class Points:
    """The spots of one picture; masks and measures by block."""

    field: Field
    """At the coarse resolution, from -1 to 1."""
    threshold: float
    peak: Blocks
    """Grey levels of the strongest spot."""
    narrowness: Blocks
    """The finest part of it against its broadest; a blur takes the finest first."""


def find_points(
    fine: npt.NDArray[np.uint8], coarse: tuple[int, int], blocks: tuple[int, int]
) -> Points:
    """`coarse` and `blocks`: rows and columns of both resolutions."""
    picture = fine.astype(np.float32)
    near = cv2.GaussianBlur(picture, (3, 3), 0)
    around = cv2.GaussianBlur(picture, (9, 9), 0)
    wide = cv2.GaussianBlur(around, (15, 15), 0)
    spots = cv2.absdiff(near, around)
    peak = _peaks(spots, blocks)
    finest, broadest = (
        _peaks(cv2.absdiff(*pair), blocks) for pair in ((picture, near), (around, wide))
    )
    usual = cv2.resize(spots, blocks[::-1], interpolation=cv2.INTER_AREA).ravel()
    quiet = np.partition(usual, usual.size // 8)[usual.size // 8]
    threshold = max(LEAST_SPOT, ABOVE_USUAL * float(quiet))
    strong = cv2.subtract(near, around)
    strong -= np.clip(strong, -threshold, threshold)
    strong = np.clip(strong, -BRIGHTEST, BRIGHTEST)
    small = 4 * cv2.resize(strong, coarse[::-1], interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (3, 3), 0)
    field = np.asarray(small / (np.abs(small) + HALF_WEIGHT), dtype=np.float32)
    narrowness = np.asarray(finest / np.maximum(broadest, LEAST_BREADTH), dtype=np.float32)
    return Points(field, threshold, peak, narrowness)


def _peaks(values: npt.ArrayLike, blocks: tuple[int, int]) -> Blocks:
    """The largest value of each block."""
    largest = np.asarray(values, dtype=np.float32)
    for axis, count in enumerate(blocks):
        begins = np.linspace(0, largest.shape[axis], count, endpoint=False).astype(np.intp)
        largest = np.maximum.reduceat(largest, begins, axis=axis)
    return largest
