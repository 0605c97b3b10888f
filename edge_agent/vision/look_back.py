"""Passes over every other key frame of a calm stream, and looks at it after all where it matters.

A picture that shows the same as the one two seconds before leaves nothing to be found out from the
one between them: what came and went again in that time is no state of anything here. Where it
shows something else, or is late, the one between is decoded, too, and is seen first. A calm desk
takes half of the decoding and judging so; what the comparison is too coarse for (somebody far away
in one block, a slight blur) is found a second later.
"""

from datetime import datetime

import cv2
import numpy as np

from edge_agent.vision.changes import measure_contrast
from edge_agent.vision.frames import Frame, GreyImage
from edge_agent.vision.stream_decoder import MAX_KEY_GAP, StreamDecoder
from edge_agent.vision.view import COLUMNS, Blocks, quantile

# Mean difference of a block in grey levels, in a room as bright as `changes.FULL_BRIGHTNESS`. One
# who keeps sitting changes few blocks, by up to 9; one who comes, by 20 to 90.
DIFFERS, DIFFERING_BLOCKS = 12.0, 2
# Light that changes and a camera that is turned reach everywhere: beyond what noise does.
STIRS, TIMES_NOISE, STIRRING_SHARE = 1.5, 3.0, 0.15
QUIETEST = 0.2  # of the blocks show noise alone
# A camera's noise and light make at least this difference in a tenth of the blocks; a picture that
# is sent again and again does not (`liveness.REFRESHED_BELOW`), and must be seen each second.
ALIVE = 1.0


class Calm:
    """Compares each picture that is looked at with the one before."""

    def __init__(self) -> None:
        self._last: tuple[GreyImage, datetime] | None = None

    def observe(self, frame: Frame) -> bool:
        """Whether it shows the same as the last one, seen no longer ago than `MAX_KEY_GAP`."""
        coarse, at = np.asarray(cv2.pyrDown(frame.fine), dtype=np.uint8), frame.captured_at
        before, self._last = self._last, (coarse, at)
        if before is None:
            return False
        last, seen_at = before
        is_near = abs(at - seen_at) <= MAX_KEY_GAP and last.shape == coarse.shape
        return is_near and is_alike(coarse, last)

    def forget(self) -> None:
        """What comes next is compared with nothing."""
        self._last = None


class LookBack:
    """Beside the decoder of one stream; give it every key frame that was shown by itself."""

    def __init__(self, decoder: StreamDecoder) -> None:
        self._decoder = decoder
        self._calm = Calm()

    def complete(self, frame: Frame) -> Frame:
        """The frame, with the one that was passed over before it if that must be seen."""
        if self._decoder.is_running:
            self._calm.forget()
            is_calm = False
        else:
            is_calm = self._calm.observe(frame)
        passed = self._decoder.take_passed(is_calm=is_calm)
        if passed is not None:
            picture, earlier = passed
            frame.before = Frame(picture, frame.captured_at - earlier)
        return frame


def is_alike(coarse: GreyImage, last: GreyImage) -> bool:
    """Whether two pictures show the same, and both of them a room that lives."""
    difference = _by_block(coarse, last)
    differs = DIFFERS * measure_contrast(coarse)
    if np.count_nonzero(difference > differs) >= DIFFERING_BLOCKS:
        return False
    stirs = TIMES_NOISE * quantile(difference, QUIETEST) + STIRS
    if np.count_nonzero(difference > stirs) > STIRRING_SHARE * difference.size:
        return False
    return quantile(difference, 0.9) >= ALIVE


def _by_block(coarse: GreyImage, last: GreyImage) -> Blocks:
    rows = max(1, round(COLUMNS * coarse.shape[0] / coarse.shape[1]))
    difference = cv2.absdiff(coarse, last).astype(np.float32)
    return np.asarray(cv2.resize(difference, (COLUMNS, rows), interpolation=cv2.INTER_AREA))
