"""Whether a picture can be trusted: a dark, covered, moved, blurred or frozen one shows nothing.

Each picture is compared with the view that the camera is meant to show. People, passers-by and
light change some of it; they live, are sharp, and leave the rest where it was. `lost` is told by
the camera's thread, and how long a fault must last by `edge_agent/core/camera_state.py`.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import cv2
import numpy as np

from edge_agent.core.camera_state import OK, Judgement
from edge_agent.vision.frames import Image
from edge_agent.vision.liveness import Liveness
from edge_agent.vision.view import View, is_mostly_below, quantile
from edge_agent.vision.view_comparison import BlockMask, Comparison, compare
from edge_agent.vision.view_memory import ViewMemory
from edge_agent.vision.view_shift import NO_TURN, TURNS, Shift, find_shift
from event_protocol.events import CameraDetail, CameraState, PictureShift

# The brightest twentieth of the picture below this: sensor noise is of the same size. A room with
# its lamps off and daylight at the window is brighter.
DARK_BELOW = 30.0
# Without a view to compare with: a hand, cloth or sheet before the lens is evenly lit and out of
# focus. At the strongest half per cent of the smoothed gradients noise of 20 grey levels reaches
# 10, the bare asphalt of a car park 14, rooms 60 and more.
EDGE_BELOW = 12.0
EDGE_QUANTILE = 0.995

# Shares of the picture. What covers stands so near that it is out of focus; of a person who fills
# 57 % of the picture half is smooth coat, of one who fills 40 % a third.
COVERED_FROM = 0.22  # soft blocks; a cover of 40 % hides as many, be it white before a white wall
SOFT_OF_HIDDEN = 0.7
LOST_OF_TOLD = 0.6  # of the structure there: the sun on a wall takes none away
LEAST_TOLD = 4  # blocks
COVERED_IN_INFRARED = 0.45  # its lamp leaves corners and far walls without structure
COLOURLESS = 3.0  # mean difference of the strongest and weakest colour; a bleak room has 8
# A cover that is sharp, as a printed bag at arm's length, does not live. Nobody sits so still.
STILL_COVER_FROM = 0.36
STILL_OF_HIDDEN = 0.88
NEIGHBOURS = np.ones((3, 3), np.uint8)
# Of the blocks that have structure to lose; a cover of 80 % leaves as many as it does not cover, a
# roll of the camera by four degrees those in its middle.
LEAST_INTACT = 0.12
# A view that has structure in few places, as an empty yard, must be hidden by brightness as well.
RICH_VIEW = 0.3
POOR_VIEW_HIDDEN = 0.5
SATURATED = 245.0
GLARE_SHARE = 0.5  # of what is hidden

# Of the view's sharpness: a camera that shakes leaves 0.66, a blur of two pixels up to 0.52.
DEFOCUSED_BELOW = 0.55
LEAST_KEPT = 0.25  # of the blocks that can be told; fewer do not tell sharpness
SAME_LAYOUT = 0.85  # correlation of the blocks' brightness: a view out of focus keeps it
LEAST_CONTRAST = 0.3  # and so much of its spread

# The median block of an unmoved view correlates by 0.9 and more with it, and after a jolt of eight
# pixels of 640 by 0.7.
SEEK_SHIFT_BELOW = 0.9
SEEK_SHIFT_EVERY = timedelta(seconds=0.9)  # it costs a millisecond
FOLLOW_EVERY = timedelta(seconds=5)  # a view that wanders, before it is amiss
MOVED_FROM = 0.0125  # share of the width: 8 pixels of 640


class CameraTrust:
    """The judgement of one camera's pictures, one after the other. For one thread only."""

    def __init__(self) -> None:
        self.memory = ViewMemory()
        self._liveness = Liveness()
        self._sought_at: datetime | None = None
        self._shift: Shift | None = None
        self._hidden_since: datetime | None = None

    def judge(self, view: View, colours: Callable[[], Image], at: datetime) -> Judgement:
        """What is wrong with the picture of `at`, if anything; `colours` is asked for seldom."""
        self._liveness.observe(view, at)
        judged = self._judge_sight(view, colours, at)
        if judged is OK and self._liveness.is_frozen:
            return Judgement(CameraState.FROZEN, since=self._liveness.still_since)
        if judged is OK:
            self.memory.learn(view, at)
        return judged

    @property
    def still_since(self) -> datetime | None:
        """Since when the picture has not changed; a frozen camera is known only later."""
        return self._liveness.still_since

    def _judge_sight(self, view: View, colours: Callable[[], Image], at: datetime) -> Judgement:
        if is_mostly_below(view.coarse[::2, ::2], 0.95, DARK_BELOW):
            return Judgement(CameraState.DARK)
        reference = self.memory.view
        if reference is None:
            return _covered(view, None) if is_blank(view) else OK
        if reference.fine.shape != view.fine.shape:
            return Judgement(CameraState.MOVED, CameraDetail.SIZE)
        found = compare(reference, view)
        if found.hidden_share < COVERED_FROM:
            self._hidden_since = None
        elif self._hidden_since is None or at < self._hidden_since:
            self._hidden_since = at
        moved = self._judge_shift(reference, view, found, at)
        if moved is not None:
            return moved
        is_rich = float(found.told.mean()) >= RICH_VIEW or found.hidden_share >= POOR_VIEW_HIDDEN
        if is_rich and found.intact_share < LEAST_INTACT:
            return _judge_lost_view(reference, view, found)
        if _is_defocused(found):
            return Judgement(CameraState.DEFOCUSED)
        return self._judge_cover(view, found, colours)

    def _judge_shift(
        self, reference: View, view: View, found: Comparison, at: datetime
    ) -> Judgement | None:
        """Looked for where something is amiss, else seldom, and not at every picture."""
        is_amiss = found.typical_correlation < SEEK_SHIFT_BELOW
        if not is_amiss and self._is_moved(view):
            self._shift = None  # it is back
        wait, last = SEEK_SHIFT_EVERY if is_amiss else FOLLOW_EVERY, self._sought_at
        if last is None or not timedelta() <= at - last < wait:
            # What is soft all over is before the lens; then a roll need not be sought as well.
            is_soft = (found.hidden & found.soft).sum() > SOFT_OF_HIDDEN * found.hidden.sum()
            turns = (NO_TURN,) if is_soft or not is_amiss else TURNS
            self._shift, self._sought_at = find_shift(reference, view, turns), at
            if self._shift is not None and not self._is_moved(view):
                self.memory.follow(self._shift, view.frame_width, at)
        if self._shift is None or not self._is_moved(view):
            return None
        right, down = round(self._shift.right), round(self._shift.down)
        return Judgement(CameraState.MOVED, shift=PictureShift(right=right, down=down))

    def _is_moved(self, view: View) -> bool:
        if self._shift is None:
            return False
        right, down, is_turned = self._shift
        return is_turned or bool(np.hypot(right, down) >= MOVED_FROM * view.frame_width)

    def _judge_cover(
        self, view: View, found: Comparison, colours: Callable[[], Image]
    ) -> Judgement:
        """Something before a part of the picture: one area, soft all over, or sharp and still."""
        if self._hidden_since is None:
            return OK
        area = largest_area(found.hidden & found.soft)
        share = float(area.mean())
        is_soft_cover = share >= COVERED_FROM and _fills(area, found, SOFT_OF_HIDDEN)
        if is_soft_cover and not _may_be_infrared(share, colours):
            return _covered(view, area, CameraDetail.PARTLY)
        moved, moved_since = self._liveness.moved, self._liveness.moved_since
        if moved is None or moved_since is None or moved.shape != found.hidden.shape:
            return OK
        area = largest_area(found.hidden & ~moved)
        share = float(area.mean())
        is_still_cover = share >= STILL_COVER_FROM and _fills(area, found, STILL_OF_HIDDEN)
        if is_still_cover and not _may_be_infrared(share, colours):
            # What did not move before it stood there proves nothing.
            since = max(moved_since, self._hidden_since)
            return replace(_covered(view, area, CameraDetail.PARTLY), since=since)
        return OK


def _fills(area: BlockMask, found: Comparison, share: float) -> bool:
    """Whether the area takes that share of what is hidden there, and took structure away."""
    there = cv2.dilate(area.view(np.uint8), NEIGHBOURS).view(np.bool_)
    is_pure = area.sum() >= share * (found.hidden & there).sum()
    told = (found.told & area).sum()
    return (
        bool(is_pure)
        and told >= LEAST_TOLD
        and bool((found.lost & area).sum() >= LOST_OF_TOLD * told)
    )


def largest_area(mask: BlockMask) -> BlockMask:
    """The blocks of the largest connected area; none if there is none."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    if count < 2:
        return mask
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return np.asarray(labels == largest)


def is_blank(view: View) -> bool:
    """Whether a picture has no structure at all, whatever it is meant to show."""
    smooth = cv2.GaussianBlur(view.coarse, (0, 0), 1.5)
    across, down = cv2.spatialGradient(smooth)
    strength = cv2.magnitude(across.astype(np.float32), down.astype(np.float32))
    return quantile(np.asarray(strength)[::2, ::2], EDGE_QUANTILE) < EDGE_BELOW


def _judge_lost_view(reference: View, view: View, found: Comparison) -> Judgement:
    """Nothing of the view is left: out of focus, before something near, or turned away."""
    if _has_same_layout(reference, view):
        return Judgement(CameraState.DEFOCUSED)
    soft = float(found.soft[found.hidden].mean())
    usual = float(found.soft_before[found.hidden].mean())
    if is_blank(view) or soft >= max(SOFT_OF_HIDDEN, (1 + usual) / 2):
        return _covered(view, found.hidden)
    return Judgement(CameraState.MOVED, CameraDetail.TURNED)


def _has_same_layout(reference: View, view: View) -> bool:
    before, after = reference.brightness, view.brightness
    if float(after.std()) < LEAST_CONTRAST * float(before.std()) or before.std() < 1:
        return False
    return float(np.corrcoef(before.ravel(), after.ravel())[0, 1]) > SAME_LAYOUT


def _is_defocused(found: Comparison) -> bool:
    is_enough = found.kept.sum() >= LEAST_KEPT * found.told.sum()
    return is_enough and found.sharpness is not None and found.sharpness < DEFOCUSED_BELOW


def _covered(view: View, hidden: BlockMask | None, detail: CameraDetail | None = None) -> Judgement:
    bright = view.brightness if hidden is None else view.brightness[hidden]
    is_glare = float((bright > SATURATED).mean()) > GLARE_SHARE
    return Judgement(CameraState.COVERED, CameraDetail.GLARE if is_glare else detail)


def _may_be_infrared(share: float, colours: Callable[[], Image]) -> bool:
    """Whether so much may be hidden by nothing but the end of the day."""
    return share < COVERED_IN_INFRARED and _is_colourless(colours())


def _is_colourless(image: Image) -> bool:
    """Infrared light has no colours; sixteen by nine patches are enough to see that."""
    patches = cv2.resize(image, (16, 9), interpolation=cv2.INTER_AREA).astype(np.float32)
    return float(np.mean(patches.max(axis=2) - patches.min(axis=2))) < COLOURLESS
