"""What of the picture lives: which blocks moved lately, and since when nothing has changed at all.

A camera's noise alone changes nearly every block from one second to the next, through any encoder
we tried (97 of 100 blocks of the emptiest room). A picture that is sent again and again changes
nowhere but in a clock that the camera burns in, and for a moment all over, but faintly, when the
encoder refreshes it.
"""

from datetime import datetime, timedelta

import cv2
import numpy as np

from edge_agent.vision.view import Blocks, View, quantile
from edge_agent.vision.view_comparison import BlockMask

LOOK_EVERY = timedelta(seconds=0.9)  # in which even a person who sits still moves a little
LOOK_WITHIN = timedelta(seconds=10)  # two pictures further apart tell nothing of the time between

# Since the look before the last that was alive: it may have frozen right after that.
FROZEN_AFTER = timedelta(seconds=5.3)
LEAST_LOOKS = 4  # so many must agree: two pictures alike are a coincidence of a quiet second
# Grey levels of the fine picture, and the share of a block's pixels. An encoder that works on a
# frozen picture changes no more by more in the second before a key frame and the one after.
CHANGED, CHANGED_SHARE = 1, 0.1
# A clock is written near the upper or lower border, in one line or two; elsewhere no block's mean
# difference reaches what anything that moves causes.
CLOCK_ROWS, CLOCK_SHARE = 0.25, 0.15
STILL_BELOW = 0.6
# Mean difference of nine blocks in ten when an encoder refreshes a frozen picture: up to 0.8 grey
# levels. Noise of a live one: 0.6 and more, each time.
REFRESHED_BELOW = 1.0
LOOKS_BETWEEN_REFRESHES = 2
# An encoder that refines a frozen picture changes it less and less; noise does not abate.
FADING = 0.75

# Mean difference of a block: so many times that of the quietest blocks, and so many grey levels.
MOVED_ABOVE_NOISE, MOVED_LEVELS = 3.0, 1.5
QUIETEST = 0.2
REMEMBERED = 2  # looks


class Liveness:
    """Compares pictures about a second apart; give it every picture."""

    def __init__(self) -> None:
        self._last: View | None = None
        self._looked_at: datetime | None = None
        self._differences: list[tuple[datetime, Blocks]] = []
        self._still_since: datetime | None = None
        self._lived_until: datetime | None = None
        self._still_looks = 0
        self._since_refresh = 0
        self._refreshed_by = 0.0  # grey levels, if the last look may have seen a refresh

    @property
    def still_since(self) -> datetime | None:
        """Since when nothing but a clock has changed, as far as was seen."""
        return self._still_since

    @property
    def is_frozen(self) -> bool:
        """Whether that has lasted so long that the camera does not see."""
        lived, at = self._lived_until, self._looked_at
        is_long = lived is not None and at is not None and at - lived >= FROZEN_AFTER
        return is_long and self._still_looks >= LEAST_LOOKS

    @property
    def moved(self) -> BlockMask | None:
        """The blocks that moved in the last two looks; `None` before there were as many."""
        if len(self._differences) < REMEMBERED:
            return None
        return np.asarray(np.any([_find_moved(d) for _, d in self._differences], axis=0))

    @property
    def moved_since(self) -> datetime | None:
        """Since when `moved` speaks."""
        return self._differences[0][0] if self._differences else None

    def observe(self, view: View, at: datetime) -> None:
        """One picture of the camera."""
        last, looked_at = self._last, self._looked_at
        if (
            last is None
            or looked_at is None
            or last.fine.shape != view.fine.shape
            or not timedelta() <= at - looked_at <= LOOK_WITHIN
        ):
            self._begin(view, at)
        elif at - looked_at >= LOOK_EVERY:
            difference = view.mean(cv2.absdiff(view.coarse, last.coarse))
            self._differences = [*self._differences, (looked_at, difference)][-REMEMBERED:]
            self._weigh_stillness(view, last, difference, at)
            self._last, self._looked_at = view, at

    def _begin(self, view: View, at: datetime) -> None:
        self._last, self._looked_at = view, at
        self._differences.clear()
        self._come_alive(at)
        self._lived_until = at - LOOK_EVERY  # nothing is known before; as in the usual case

    def _weigh_stillness(self, view: View, last: View, difference: Blocks, at: datetime) -> None:
        self._since_refresh += 1
        most = quantile(difference, 0.9)
        is_fading = most < FADING * self._refreshed_by
        if _is_clock_at_most(view, last, difference):
            self._still_looks, self._refreshed_by = self._still_looks + 1, 0.0
        elif is_fading:
            self._still_looks, self._refreshed_by = self._still_looks + 1, most
        elif most < REFRESHED_BELOW and self._since_refresh > LOOKS_BETWEEN_REFRESHES:
            self._since_refresh, self._refreshed_by = 0, most
        else:
            self._come_alive(at)
            self._refreshed_by = most if most < REFRESHED_BELOW else 0.0

    def _come_alive(self, at: datetime) -> None:
        self._lived_until = self._looked_at
        self._still_since, self._still_looks, self._since_refresh = at, 0, 0
        self._refreshed_by = 0.0


def _find_moved(difference: Blocks) -> BlockMask:
    """Needed of few pictures, so not before it is asked for."""
    quiet = quantile(difference, QUIETEST)
    return np.asarray(difference > MOVED_ABOVE_NOISE * quiet + MOVED_LEVELS)


def _is_clock_at_most(view: View, last: View, difference: Blocks) -> bool:
    """The coarse picture tells of nearly every live one, before the fine one is looked at."""
    border = max(1, round(CLOCK_ROWS * difference.shape[0]))
    inner = difference[border:-border]
    if (inner > STILL_BELOW).any():
        return False
    changed = view.mean(np.asarray(cv2.absdiff(view.fine, last.fine) > CHANGED))
    alive = changed > CHANGED_SHARE
    return float(alive.mean()) <= CLOCK_SHARE
