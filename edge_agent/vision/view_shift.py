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

from edge_agent.vision.view import Field, View
from edge_agent.vision.view_comparison import LEAST_STRUCTURE, correlate

LEAST_SHIFT = 0.003  # share of the width: 2 pixels of 640, which is as exact as this is
LARGEST_SHIFT = 0.4  # beyond it too little is left of the old view to compare
LEAST_AGREEMENT = 0.4  # mean correlation over the blocks with structure
GAIN = 0.35  # so much of what the unshifted reference lacks of full agreement must be won
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
    is_turned: bool  # rolled or zoomed besides


def find_shift(reference: View, view: View, turns: Sequence[Turn] = TURNS) -> Shift | None:
    """How far the picture went, if that can be told; also of one that was rolled or zoomed."""
    height, width = reference.coarse.shape
    scale = view.frame_width / width
    now = _directions(view.across, view.down)
    for degrees, zoom in turns:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom)
        way: Way = np.asarray(turn, dtype=np.float64)
        right, down = _correlate(_directions(*_send(reference, way)), now)
        way[:, 2] += right, down
        is_turned = degrees != 0 or zoom != 1
        if not is_turned and np.hypot(right, down) < LEAST_SHIFT * width:
            continue
        if np.hypot(right, down) <= LARGEST_SHIFT * width and _agrees(reference, view, way):
            return Shift(right * scale, down * scale, is_turned)
    return None


def _send(reference: View, way: Way) -> tuple[Field, Field]:
    """The reference's gradients where they would be, turned with the picture."""
    height, width = reference.coarse.shape
    across, down = (
        np.asarray(cv2.warpAffine(field, way, (width, height)), dtype=np.float32)
        for field in (reference.across, reference.down)
    )
    cosine, sine = way[0, :2] / np.hypot(*way[0, :2])
    return _field(cosine * across + sine * down), _field(cosine * down - sine * across)


def _agrees(reference: View, view: View, way: Way) -> bool:
    """Whether the reference, sent that way, fits the picture clearly better than unmoved."""
    across, down = _send(reference, way)
    energy = reference.mean(across**2 + down**2)
    there, here = energy > LEAST_STRUCTURE, reference.energy > LEAST_STRUCTURE
    if there.sum() < LEAST_BLOCKS:
        return False
    sent, _ = correlate(across, down, energy, view)
    unmoved, _ = correlate(reference.across, reference.down, reference.energy, view)
    agreement, without = float(sent[there].mean()), float(unmoved[here].mean())
    return agreement > max(LEAST_AGREEMENT, without + GAIN * (1 - without))


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
