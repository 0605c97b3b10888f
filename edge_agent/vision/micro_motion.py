"""What moved within the last seconds, by a pixel or less: nobody keeps as still as a bag.

Each pixel is compared with what it was some seconds ago, or when it last moved. What noise,
compression and a shaking camera do is measured on the background of the same two pictures.
"""

from datetime import datetime, timedelta

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.frames import GreyPicture, Mask
from edge_agent.vision.light import Gradient

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
        self, picture: GreyPicture, gradient: Gradient, at: datetime, contrast: float
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
        limit: GreyPicture = np.asarray(cv2.dilate(gradient.strength, REACH), dtype=np.float32)
        limit *= SLACK_BY_EDGE
        limit += max(LEAST_DIFFERENCE * contrast, TIMES_NOISE * noise)
        moving = cv2.medianBlur((difference > limit).view(np.uint8), 3)
        if abs(at - self._before_at) >= COMPARE_OVER:
            self._before, self._before_at = picture.copy(), at
        else:
            around = cv2.dilate(moving, REACH).view(np.bool_)
            np.copyto(self._before, picture, where=around)
        return moving.view(np.bool_)
