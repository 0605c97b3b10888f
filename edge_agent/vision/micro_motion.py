"""What moved within the last seconds, by a pixel or less: nobody keeps as still as a bag.

Each pixel is compared with what it was some seconds ago, or when it last moved. What noise,
compression and a shaking camera do is measured on the background of the same two pictures.
"""

from datetime import datetime, timedelta

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.frames import GreyPicture, Mask
from edge_agent.vision.gradient import Slopes
from edge_agent.vision.windows import Window, surround, widen

COMPARE_OVER = timedelta(seconds=4)  # long enough for a slow sway, too short for the sun to creep
LEAST_DIFFERENCE = 5.0  # grey levels
CALM_SHARE = 0.8  # a fifth of the background may be people who walk about
TIMES_NOISE = 4.0
# Residual misplacement of one pixel in five is no motion; 8: the gradient's unit.
SLACK_BY_EDGE = 0.2 / 8
REACH = np.ones((3, 3), np.uint8)


class MicroMotion:
    """Compares pictures that were brought into the same light and place."""

    def __init__(self, sample: npt.NDArray[np.intp]) -> None:
        self._sample = sample
        self._noisy = int(CALM_SHARE * sample.size)
        self._before: GreyPicture | None = None
        self._before_at: datetime | None = None

    def observe(
        self, picture: GreyPicture, gradient: Slopes, at: datetime, contrast: float
    ) -> Mask:
        """The pixels that moved."""
        if self._before is None or self._before_at is None:
            self._before, self._before_at = picture.copy(), at
            return np.zeros(picture.shape, np.bool_)
        change = cv2.blur(cv2.subtract(picture, self._before), (3, 3))
        difference: GreyPicture = np.abs(change, out=change)
        around = difference.ravel().take(self._sample)
        around.partition(self._noisy)
        noise = float(around[self._noisy])
        least = max(LEAST_DIFFERENCE * contrast, TIMES_NOISE * noise)
        moving: Mask = difference > least
        found = surround(moving)
        window = None if found is None else widen(found, 1, moving.shape)
        if window is not None:
            self._leave_out_edges(moving, difference, window, gradient, least)
        if abs(at - self._before_at) >= COMPARE_OVER:
            self._before, self._before_at = picture.copy(), at
        elif window is not None:
            around = cv2.dilate(moving[window].view(np.uint8), REACH).view(np.bool_)
            np.copyto(self._before[window], picture[window], where=around)
        return moving

    @staticmethod
    def _leave_out_edges(
        moving: Mask, difference: GreyPicture, window: Window, gradient: Slopes, least: float
    ) -> None:
        """In the window, what moves must differ by more than its edges allow."""
        limit = SLACK_BY_EDGE * cv2.dilate(gradient.part(window).strength, REACH) + least
        here = difference[window] > limit
        moving[window] = cv2.medianBlur(here.view(np.uint8), 3).view(np.bool_)
