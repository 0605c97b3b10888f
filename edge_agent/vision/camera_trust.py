"""Whether a picture can be trusted: a dark, covered, moved, blurred or frozen one shows nothing.

Each picture is compared with the view that the camera is meant to show. People, passers-by and
light change some of it; they live, are sharp, and leave the rest where it was. `lost` is told by
the camera's thread, and how long a fault must last by `edge_agent/core/camera_state.py`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from edge_agent.core.camera_state import OK, Judgement
from edge_agent.vision.cover import CoverWatch, covered
from edge_agent.vision.frames import Image
from edge_agent.vision.liveness import Liveness
from edge_agent.vision.lost_view import DEFOCUSED, TURNED, is_blank, is_view_lost, judge_lost_view
from edge_agent.vision.view import Blocks, View, is_mostly_below
from edge_agent.vision.view_comparison import Comparison, compare
from edge_agent.vision.view_memory import ViewMemory
from edge_agent.vision.view_shift import NO_TURN, TURNS, Shift, find_shift, is_still_there
from event_protocol.events import CameraDetail, CameraState, PictureShift

# The brightest twentieth of the picture below this: sensor noise is of the same size. A room with
# its lamps off and daylight at the window is brighter.
DARK_BELOW = 30.0

# Of the view's sharpness: a camera that shakes leaves 0.66, a blur of two pixels up to 0.52.
DEFOCUSED_BELOW, STAYS_DEFOCUSED_BELOW = 0.55, 0.65
LATELY = timedelta(seconds=2)
LEAST_KEPT = 0.25  # of the blocks that can be told; fewer do not tell sharpness

SEEK_SHIFT_EVERY = timedelta(seconds=0.9)  # it costs a millisecond
FOLLOW_EVERY = timedelta(seconds=5)  # a view that wanders, before it is amiss
MOVED_FROM = 0.0125  # share of the width: 8 pixels of 640
SOFT_OF_HIDDEN = 0.7


class CameraTrust:
    """The judgement of one camera's pictures, one after the other. For one thread only."""

    def __init__(self) -> None:
        self.memory = ViewMemory()
        self._liveness = Liveness()
        self._cover = CoverWatch()
        self._sought_at: datetime | None = None
        self._shift: Shift | None = None
        self._good: Blocks | None = None  # brightness of the last picture without a fault
        self._last: tuple[CameraState, datetime] | None = None
        self._lost: Judgement | None = None  # what the view was judged when it was lost

    def judge(self, view: View, colours: Callable[[], Image], at: datetime) -> Judgement:
        """What is wrong with the picture of `at`, if anything; `colours` is asked for seldom."""
        self._liveness.observe(view, at)
        judged = self._judge_sight(view, colours, at)
        self._last = judged.state, at
        if judged is OK and self._liveness.is_frozen:
            return Judgement(CameraState.FROZEN, since=self._liveness.still_since)
        if judged is OK:
            self._good = view.brightness
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
            return covered(view, None) if is_blank(view) else OK
        if reference.fine.shape != view.fine.shape:
            return Judgement(CameraState.MOVED, CameraDetail.SIZE)
        found = compare(reference, view)
        self._cover.observe(found, self._was(CameraState.COVERED, at), at)
        moved = self._judge_shift(found, at)
        if moved is not None:
            return moved
        if is_view_lost(found):
            return self._judge_lost(found)
        self._lost = None
        was_defocused = self._was(CameraState.DEFOCUSED, at)
        if _is_defocused(found, STAYS_DEFOCUSED_BELOW if was_defocused else DEFOCUSED_BELOW):
            return DEFOCUSED
        return self._cover.judge(found, self._liveness, colours, at)

    def _was(self, state: CameraState, at: datetime) -> bool:
        """Whether the last picture was judged so, a moment ago."""
        if self._last is None:
            return False
        last, told_at = self._last
        return last is state and timedelta() <= at - told_at <= LATELY

    def _judge_lost(self, found: Comparison) -> Judgement:
        """A plain view that was lost stays what it was; how bright it was is soon out of date."""
        judged = judge_lost_view(found, self._good)
        if found.reference.is_plain and judged != TURNED:
            self._lost = judged = self._lost or judged
        return judged

    def _judge_shift(self, found: Comparison, at: datetime) -> Judgement | None:
        """Looked for where something is amiss, else seldom, and not at every picture."""
        width = found.view.frame_width
        if not found.is_amiss and _is_far(self._shift, width):
            self._shift = None  # it is back
        wait, last = SEEK_SHIFT_EVERY if found.is_amiss else FOLLOW_EVERY, self._sought_at
        if last is None or not timedelta() <= at - last < wait:
            self._shift, self._sought_at = self._seek_shift(found), at
            if self._shift is not None and not _is_far(self._shift, width):
                self.memory.follow(self._shift, width, at)
        if self._shift is None or not _is_far(self._shift, width):
            return None
        right, down = round(self._shift.right), round(self._shift.down)
        return Judgement(CameraState.MOVED, shift=PictureShift(right=right, down=down))

    def _seek_shift(self, found: Comparison) -> Shift | None:
        """Where the view was found before, if it is still there, else wherever it is."""
        reference, view, last = found.reference, found.view, self._shift
        is_known = last is not None and _is_far(last, view.frame_width)
        if last is not None and is_known and is_still_there(reference, view, last):
            return last
        # What is soft all over is before the lens; then a roll need not be sought as well.
        is_soft = (found.hidden & found.soft).sum() > SOFT_OF_HIDDEN * found.hidden.sum()
        return find_shift(reference, view, (NO_TURN,) if is_soft or not found.is_amiss else TURNS)


def _is_far(shift: Shift | None, frame_width: int) -> bool:
    """Whether that is amiss, and no wandering."""
    if shift is None:
        return False
    distance = float(np.hypot(shift.right, shift.down))
    return shift.is_turned or distance >= MOVED_FROM * frame_width


def _is_defocused(found: Comparison, limit: float) -> bool:
    if found.spots is not None and found.spots.have_faded:
        return True
    is_enough = found.kept.sum() >= LEAST_KEPT * found.told.sum()
    return is_enough and found.sharpness is not None and found.sharpness < limit
