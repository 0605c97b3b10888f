"""Where the view went: how far a camera was turned, from the reference to what it shows now.

Orientation correlation (Fitch, Kadyrov, Christmas and Kittler 2002) proposes a shift: it compares
the gradients' directions at all shifts at once, so that neither light nor somebody in the picture
leads it astray. It counts only if the reference, shifted like that, fits clearly better.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.view import LEAST_STRUCTURE, Field, View
from edge_agent.vision.view_comparison import compare_spots, correlate

LEAST_SHIFT = 0.003  # share of the width: 2 pixels of 640, which is as exact as this is
LARGEST_SHIFT = 0.4  # beyond it too little is left of the old view to compare
LEAST_AGREEMENT = 0.4  # mean correlation over the blocks with structure
GAIN = 0.35  # so much of what the unshifted reference lacks of full agreement must be won
WANDERED = 0.01  # share of the width: spots that went no further need only fit better
FAINT = 20.0  # gradients far below it have no direction to speak of
LEAST_BLOCKS = 6
Turn = tuple[int, float]
# A camera that is turned by hand rolls as well, and one that is pushed in its mount comes nearer:
# degrees and zoom that are tried in turn, each good for what lies half-way to the next.
NO_TURN: Turn = (0, 1.0)
TURNS: tuple[Turn, ...] = (
    NO_TURN,
    (3, 1.0),
    (-3, 1.0),
    (0, 1.1),
    (0, 0.9),
    (7, 1.0),
    (-7, 1.0),
    (12, 1.0),
    (-12, 1.0),
)

Way = npt.NDArray[np.float64]
"""2 × 3, from a place in the reference to where it is now, in coarse pixels."""


class Shift(NamedTuple):
    """Pixels of the frame by which what stood still in the middle went right and down."""

    right: float
    down: float
    turn: Turn  # rolled and zoomed besides

    @property
    def is_turned(self) -> bool:
        """Whether it is."""
        return self.turn != NO_TURN


def find_shift(reference: View, view: View, turns: Sequence[Turn] = TURNS) -> Shift | None:
    """How far the picture went, if that can be told; also of one that was rolled or zoomed."""
    width = reference.coarse.shape[1]
    scale = view.frame_width / width
    now = _spots(view.points.field) if reference.is_plain else _directions(view.across, view.down)
    for turn in turns:
        way = _turn(reference, turn)
        if reference.is_plain:
            sent = _spots(_warp(reference.points.field, way))
        else:
            sent = _directions(*_send(reference, way))
        right, down = _correlate(sent, now)
        way[:, 2] += right, down
        if turn == NO_TURN and np.hypot(right, down) < LEAST_SHIFT * width:
            continue
        if np.hypot(right, down) <= LARGEST_SHIFT * width and _agrees(reference, view, way):
            return Shift(right * scale, down * scale, turn)
    return None


def is_still_there(reference: View, view: View, shift: Shift) -> bool:
    """Whether a view that was found there before fits there better than where it belongs."""
    way = _turn(reference, shift.turn)
    way[:, 2] += np.array(shift[:2]) * reference.coarse.shape[1] / view.frame_width
    sent, unmoved = _agreements(reference, view, way)
    return sent > max(LEAST_AGREEMENT / 2, unmoved + GAIN / 4 * (1 - unmoved))


def _turn(reference: View, turn: Turn) -> Way:
    height, width = reference.coarse.shape
    return np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), *turn), dtype=np.float64)


def _send(reference: View, way: Way) -> tuple[Field, Field]:
    """The reference's gradients where they would be, turned with the picture."""
    across, down = _warp(reference.across, way), _warp(reference.down, way)
    cosine, sine = way[0, :2] / np.hypot(*way[0, :2])
    return _field(cosine * across + sine * down), _field(cosine * down - sine * across)


def _warp(field: Field, way: Way) -> Field:
    size = field.shape[1], field.shape[0]
    return np.asarray(cv2.warpAffine(field, way, size), dtype=np.float32)


def _agrees(reference: View, view: View, way: Way) -> bool:
    """Whether the reference, sent that way, fits the picture clearly better than unmoved."""
    sent, unmoved = _agreements(reference, view, way)
    is_small = (
        np.allclose(way[:, :2], np.eye(2))
        and np.hypot(*way[:, 2]) < WANDERED * view.coarse.shape[1]
    )
    if is_small and reference.is_plain:
        return sent > max(LEAST_AGREEMENT / 2, unmoved)
    return sent > max(LEAST_AGREEMENT, unmoved + GAIN * (1 - unmoved))


def _is_small(way: Way, width: int) -> bool:
    """Whether it is a shift by no more than a view wanders."""
    is_turned = not np.allclose(way[:, :2], np.eye(2))
    return not is_turned and bool(np.hypot(*way[:, 2]) < WANDERED * width)


def _agreements(reference: View, view: View, way: Way) -> tuple[float, float]:
    """How well the reference fits if it is sent that way, and unmoved: from 0, or unknown, to 1."""
    if reference.is_plain:
        spots = reference.points
        to_blocks = way.copy()
        to_blocks[:, 2] *= spots.peak.shape[1] / spots.field.shape[1]
        moved = _warp(spots.field, way), _warp(spots.peak, to_blocks)
        fits = (compare_spots(reference, view, where).kept_share for where in (moved, None))
        sent, unmoved = (share or 0.0 for share in fits)
        return sent, unmoved
    across, down = _send(reference, way)
    energy = reference.mean(across**2 + down**2)
    there, here = energy > LEAST_STRUCTURE, reference.energy > LEAST_STRUCTURE
    if there.sum() < LEAST_BLOCKS:
        return 0.0, 0.0
    by_block, _ = correlate(across, down, energy, view)
    unmoved_by_block, _ = correlate(reference.across, reference.down, reference.energy, view)
    return float(by_block[there].mean()), float(unmoved_by_block[here].mean())


def _spots(field: Field) -> Field:
    return _field(cv2.merge([field, np.zeros_like(field)]))


def _directions(across: Field, down: Field) -> Field:
    """Each pixel's gradient with its length taken away, as two channels; none where it is faint."""
    length = np.asarray(cv2.magnitude(across, down)) + FAINT
    return _field(cv2.merge([across / length, down / length]))


def _correlate(before: Field, after: Field) -> tuple[float, float]:
    """How far right and down the directions agree best, by Fourier; as if both went on for ever."""
    spectrum = cv2.mulSpectrums(cv2.dft(after), cv2.dft(before), 0, conjB=True)
    agreement = cv2.dft(spectrum, flags=cv2.DFT_INVERSE)[:, :, 0]
    down, across = np.unravel_index(int(np.argmax(agreement)), agreement.shape)
    return _centre(agreement[down], int(across)), _centre(agreement[:, across], int(down))


def _centre(values: npt.NDArray[np.generic], peak: int) -> float:
    """The top of the parabola through the peak and its neighbours; beyond half, it went back."""
    count = values.size
    before, top, after = (float(values[(peak + step) % count]) for step in (-1, 0, 1))
    bend = before - 2 * top + after
    place = peak + (0.5 * (before - after) / bend if bend < 0 else 0.0)
    return place if place <= count / 2 else place - count


def _field(values: npt.ArrayLike) -> Field:
    return np.asarray(values, dtype=np.float32)
