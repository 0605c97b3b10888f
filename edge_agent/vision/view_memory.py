"""What the camera is meant to show: calibrated, or learned from its first seconds.

The view follows furniture and seasons, by a sixth in an hour, and a mast that gives way by a pixel
a second. What somebody puts before the lens is an alarm long before, and then nothing is learned.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import cv2
import numpy as np

from edge_agent.vision.frames import FINE_WIDTH, GreyImage
from edge_agent.vision.view import Field, View
from edge_agent.vision.view_shift import Shift

LEARN_FOR = timedelta(seconds=5)  # from nothing; longer than anybody passes by
LEARN_FROM_EVERY = timedelta(seconds=0.4)
MEDIAN_OF = 12  # pictures; more take long
LEAST_LIGHT = 0.01  # instead of nothing in a denominator
UNUSUAL = 12.0  # grey levels from the median: somebody or something that passed
LEARN_EVERY = timedelta(seconds=60)
LEARN_SHARE = 1 / 360  # of the view, each time: six hours
# A mast or a wall gives way by the sun's warmth or the wind: a car park was measured to wander by
# 11 pixels of 640 in half a minute. Whoever turns a camera is faster.
FOLLOW_PER_S = 0.0012  # share of the width
FOLLOW_AT_MOST = 0.025
FOLLOW_WITHIN = timedelta(seconds=10)
LEAST_STEP = 0.05  # pixels; less is not worth making the view anew


def usual(pictures: Sequence[GreyImage]) -> Field:
    """What most of them show in the same light: the mean without whoever passed by."""
    few = pictures[:: max(1, len(pictures) // MEDIAN_OF)]
    light = np.array([_light(picture, few[0]) for picture in few])
    gains = np.median(light) / np.maximum(light, LEAST_LIGHT)
    lit = [picture * np.float32(gain) for picture, gain in zip(few, gains, strict=True)]
    middle = np.median(np.array(lit), axis=0).astype(np.float32)
    total, count = np.zeros_like(middle), np.zeros_like(middle)
    for picture in lit:
        is_usual = np.abs(picture - middle) <= UNUSUAL
        total += np.where(is_usual, picture, 0)
        count += is_usual
    return np.where(count > 0, total / np.maximum(count, 1), middle).astype(np.float32)


def _light(picture: GreyImage, first: GreyImage) -> float:
    """Against that of the first; whoever passes leaves the median of all pixels as it is."""
    now, before = (one[::4, ::4].astype(np.float32) + 1 for one in (picture, first))
    return float(np.median(now / before))


class ViewMemory:
    """The reference view, if there is one yet."""

    def __init__(self) -> None:
        self.view: View | None = None
        self._picture = np.zeros((0, FINE_WIDTH), np.float32)
        self._offset = np.zeros(2)  # from `_picture` to what is shown, right and down, of the width
        self._followed = np.zeros(2)
        self._learning_since: datetime | None = None  # while it is new
        self._pictures: list[tuple[datetime, GreyImage]] = []  # while it is new
        self._learned_at: datetime | None = None
        self._followed_at: datetime | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the view is calibrated, or was seen for long enough."""
        return self.view is not None and self._learning_since is None

    def forget(self) -> None:
        """Begin anew with the next picture that can be trusted; for the installer alone to ask."""
        self.view = None

    def calibrate(self, pictures: Sequence[GreyImage]) -> None:
        """Take pictures of the view as it is meant, all of them `Frame.fine`."""
        self._take(usual(pictures))

    def learn(self, view: View, at: datetime) -> None:
        """A picture that can be trusted; also the first one, if there is nothing to go by."""
        if self.view is None:
            self._take(view.fine.astype(np.float32))
            self._learning_since, self._pictures = at, [(at, view.fine)]
        elif self._learning_since is not None:
            self._learn_anew(view, at, self._learning_since)
        elif self._learned_at is None or at < self._learned_at:
            self._learned_at = at
        elif at - self._learned_at >= LEARN_EVERY:
            self._learned_at = at
            shown = self._shown()
            self._picture = shown + np.float32(LEARN_SHARE) * (view.fine - shown)
            self._offset[:] = 0
            self._show()

    def follow(self, shift: Shift, frame_width: int, at: datetime) -> None:
        """A picture that can be trusted has wandered, by pixels of its frame."""
        last, self._followed_at = self._followed_at, at
        if last is None or not timedelta() < at - last <= FOLLOW_WITHIN:
            return
        limit = FOLLOW_PER_S * (at - last).total_seconds()
        step = np.clip(np.array([shift.right, shift.down]) / frame_width, -limit, limit)
        step = np.clip(self._followed + step, -FOLLOW_AT_MOST, FOLLOW_AT_MOST) - self._followed
        if np.abs(step).max() * FINE_WIDTH >= LEAST_STEP:
            self._followed += step
            self._offset += step
            self._show()

    def _learn_anew(self, view: View, at: datetime, since: datetime) -> None:
        """The usual of the first seconds; the view is made anew when it has twice the pictures."""
        is_over = not timedelta() <= at - since < LEARN_FOR
        if at - self._pictures[-1][0] >= LEARN_FROM_EVERY or is_over or at < since:
            self._pictures.append((at, view.fine))
        count = len(self._pictures)
        if is_over or count & (count - 1) == 0:
            self._picture = usual([fine for _, fine in self._pictures])
            self._show()
        if is_over:
            self._learning_since = None
            self._pictures.clear()

    def _take(self, picture: Field) -> None:
        self._picture = picture
        self._learning_since = self._learned_at = self._followed_at = None
        self._offset[:] = self._followed[:] = 0
        self._show()

    def _shown(self) -> Field:
        if not self._offset.any():
            return self._picture
        right, down = self._offset * FINE_WIDTH
        way = np.array([[1, 0, right], [0, 1, down]], np.float32)
        size = self._picture.shape[1], self._picture.shape[0]
        moved = cv2.warpAffine(self._picture, way, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, dtype=np.float32)

    def _show(self) -> None:
        self.view = View(np.rint(self._shown()).astype(np.uint8))
