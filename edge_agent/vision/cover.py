"""Something before a part of the picture: one area, out of focus all over, blinded, or not alive.

What covers stands so near that it is out of focus; a person's coat is smooth as well, but not all
of a person, and whoever lives moves. At night and in a plain view brightness proves little.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.camera_state import OK, Judgement
from edge_agent.vision.frames import Image
from edge_agent.vision.liveness import Liveness
from edge_agent.vision.view import View
from edge_agent.vision.view_comparison import BlockMask, Comparison
from event_protocol.events import CameraDetail, CameraState

# Shares of the picture. Of a person who fills 57 % of it half is smooth coat, of one who fills 40 %
# a third.
COVERED_FROM = 0.22  # soft blocks; a cover of 40 % hides as many, be it white before a white wall
SOFT_OF_HIDDEN = 0.7
LOST_OF_TOLD = 0.6  # of the structure there: the sun on a wall takes none away
LEAST_TOLD = 4  # blocks
COVERED_IN_INFRARED = 0.45  # its lamp leaves corners and far walls without structure
# Mean difference of the strongest and weakest colour. Infrared light has none at all; by day an
# empty yard has 1.3, and with a grey bag over half of it 0.3.
COLOURLESS = 0.25
# A cover that is sharp, as a printed bag at arm's length, does not live. Nobody sits so still.
STILL_COVER_FROM = 0.36
STILL_OF_HIDDEN = 0.88
STILL_FOR_S = 1.5  # that nearly each of its blocks is hidden before more than now counts
BLINDED_FROM = 0.36
SATURATED = 245.0
GLARE_SHARE = 0.5  # of what is hidden
# What was there a moment ago is, until clearly less of it shows: somebody who moves beside a cover
# hides a block more or less.
STAYS = 0.75
NEIGHBOURS = np.ones((3, 3), np.uint8)


class CoverWatch:
    """Since when so much is hidden, and each block of it."""

    def __init__(self) -> None:
        self._hidden_since: datetime | None = None
        self._bar = 1.0  # what counts, against what counts anew
        self._blocks_since: npt.NDArray[np.float64] | None = None  # each block, as a time stamp

    def observe(self, found: Comparison, was_covered: bool, at: datetime) -> None:
        """To be called with each picture that is compared; `was_covered`: a moment ago."""
        self._bar = STAYS if was_covered else 1.0
        if found.hidden_share < COVERED_FROM * self._bar:
            self._hidden_since = None
        elif self._hidden_since is None or at < self._hidden_since:
            self._hidden_since = at
        now, before = at.timestamp(), self._blocks_since
        if before is None or before.shape != found.hidden.shape:
            before = np.full(found.hidden.shape, np.inf)
        self._blocks_since = np.where(found.hidden, np.minimum(before, now), np.inf)

    def judge(
        self, found: Comparison, liveness: Liveness, colours: Callable[[], Image], at: datetime
    ) -> Judgement:
        """Whether something stands before a part of the picture."""
        if self._hidden_since is None or self._blocks_since is None:
            return OK
        for area, moved_since in _covers(found, liveness, self._bar):
            if _may_be_infrared(area, found, colours):
                continue
            judged = covered(found.view, area, CameraDetail.PARTLY)
            if moved_since is None:
                return judged
            # What did not move before it stood there proves nothing.
            lasts = at.timestamp() - self._blocks_since[area] >= STILL_FOR_S
            since = max(moved_since, self._hidden_since) if lasts.mean() >= STILL_OF_HIDDEN else at
            return replace(judged, since=since)
        return OK


def covered(view: View, hidden: BlockMask | None, detail: CameraDetail | None = None) -> Judgement:
    """By something, or blinded by light."""
    bright = view.brightness if hidden is None else view.brightness[hidden]
    is_glare = float((bright > SATURATED).mean()) > GLARE_SHARE
    return Judgement(CameraState.COVERED, CameraDetail.GLARE if is_glare else detail)


def _covers(
    found: Comparison, liveness: Liveness, bar: float
) -> Iterator[tuple[BlockMask, datetime | None]]:
    """Areas that only a cover hides; with one that only does not move, since when it has not."""
    is_known = bar < 1
    soft = _largest_area(found.hidden & found.soft, is_known)
    if soft.mean() >= COVERED_FROM * bar and _fills(soft, found, SOFT_OF_HIDDEN * bar, bar):
        yield soft, None
    blinded = _largest_area(found.hidden & (found.view.brightness > SATURATED), is_known)
    if blinded.mean() >= BLINDED_FROM * bar and _fills(blinded, found, 0, bar):
        yield blinded, None
    moved, moved_since = liveness.moved, liveness.moved_since
    if moved is None or moved_since is None or moved.shape != found.hidden.shape:
        return
    still = _largest_area(found.hidden & ~moved, is_known)
    if still.mean() >= STILL_COVER_FROM * bar and _fills(still, found, STILL_OF_HIDDEN * bar, bar):
        yield still, moved_since


def _largest_area(mask: BlockMask, is_known: bool) -> BlockMask:
    """The blocks of the largest connected area; of a cover that is known one may lack between."""
    blocks = mask.view(np.uint8)
    joined = cv2.morphologyEx(blocks, cv2.MORPH_CLOSE, NEIGHBOURS) if is_known else blocks
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(joined)
    if count < 2:
        return mask
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return np.asarray(mask & (labels == largest))


def _fills(area: BlockMask, found: Comparison, share: float, bar: float) -> bool:
    """Whether the area takes that share of what is hidden there, and took structure away."""
    there = cv2.dilate(area.view(np.uint8), NEIGHBOURS).view(np.bool_)
    is_pure = area.sum() >= share * (found.hidden & there).sum()
    # What shows through its holes counts against it.
    whole = cv2.morphologyEx(area.view(np.uint8), cv2.MORPH_CLOSE, NEIGHBOURS, iterations=2)
    told = (found.told & whole.view(np.bool_)).sum()
    lost = (found.lost & whole.view(np.bool_)).sum()
    return bool(is_pure and told >= LEAST_TOLD * bar and lost >= LOST_OF_TOLD * told)


def _may_be_infrared(area: BlockMask, found: Comparison, colours: Callable[[], Image]) -> bool:
    """Whether so much may be hidden by nothing but the end of the day.

    It makes a plain view dark and bright elsewhere than before: its brightness proves nothing then.
    """
    proven = area & (found.lost | found.added) if found.reference.is_plain else area
    return bool(proven.mean() < COVERED_IN_INFRARED) and _is_colourless(colours())


def _is_colourless(image: Image) -> bool:
    """Sixteen by nine patches are enough to see that."""
    patches = cv2.resize(image, (16, 9), interpolation=cv2.INTER_AREA).astype(np.float32)
    return float(np.mean(patches.max(axis=2) - patches.min(axis=2))) < COLOURLESS
