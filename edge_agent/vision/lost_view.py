"""What a picture shows of which hardly anything is left where it was: which fault is it?

Out of focus it keeps its layout of bright and dark, and is soft; before something near it is soft
and otherwise bright; turned away it shows something else that is sharp.
"""

import cv2
import numpy as np

from edge_agent.core.camera_state import Judgement
from edge_agent.vision.cover import SOFT_OF_HIDDEN, covered
from edge_agent.vision.view import RICH, Blocks, View, quantile
from edge_agent.vision.view_comparison import CLEARLY, Comparison, Spots
from event_protocol.events import CameraDetail, CameraState

DEFOCUSED = Judgement(CameraState.DEFOCUSED)
TURNED = Judgement(CameraState.MOVED, CameraDetail.TURNED)

# Of the blocks that have structure to lose; a cover of 80 % leaves as many as it does not cover, a
# roll of the camera by four degrees those in its middle.
LEAST_INTACT = 0.12
# A view of which little can be told in this light must be hidden by brightness as well.
POOR_VIEW_HIDDEN = 0.5
# Times the smoothest of the view, and as `View.noise`: noise of 14 grey levels has 40, the print
# of a bag 700. Rooms and yards have smooth places.
PRINT_ABOVE_VIEW, PRINT = 4.0, 200.0
# Of the spots of a plain view; a car or somebody who fills half of the picture leaves 0.3.
LEAST_SPOTS_INTACT = 0.2
ALL_ADDED = 0.9  # of a plain picture's blocks have structure that the view has not

# Without a view to compare with: a hand, cloth or sheet before the lens is evenly lit and out of
# focus. At the strongest half per cent of the smoothed gradients noise of 20 grey levels reaches
# 10, the bare asphalt of a car park 14, rooms 60 and more.
EDGE_BELOW = 12.0
EDGE_QUANTILE = 0.995

SAME_LAYOUT = 0.85  # correlation of the blocks' brightness: a view out of focus keeps it
LEAST_CONTRAST = 0.3  # and so much of its spread
# A plain view has no layout to speak of, but is as bright as a second before: by so many grey
# levels and so great a share, but where a car passed meanwhile.
AS_BRIGHT_LEVELS, AS_BRIGHT, AS_BRIGHT_BUT_FOR = 4.0, 0.1, 0.35
# So many times as many sharp spots as the view has: it shows another yard.
SPOTS_ELSEWHERE, SHARP = 0.5, 0.55


def is_view_lost(found: Comparison) -> bool:
    """Whether hardly anything is left of the view where it was."""
    if _is_print(found):
        return True
    if found.reference.is_plain:
        return found.intact_share < LEAST_SPOTS_INTACT or float(found.added.mean()) > ALL_ADDED
    is_rich = float(found.told.mean()) >= RICH or found.hidden_share >= POOR_VIEW_HIDDEN
    return is_rich and found.intact_share < LEAST_INTACT


def judge_lost_view(found: Comparison, before: Blocks | None) -> Judgement:
    """Which fault it is; `before`: brightness of the last picture that was trusted."""
    if _is_print(found):
        return covered(found.view, None)
    if found.spots is not None:
        return _judge_lost_spots(found, found.spots, before)
    if _has_same_layout(found.reference, found.view):
        return DEFOCUSED
    soft = float(found.soft[found.hidden].mean())
    usual = float(found.soft_before[found.hidden].mean())
    if is_blank(found.view) or soft >= max(SOFT_OF_HIDDEN, (1 + usual) / 2):
        return covered(found.view, found.hidden)
    return TURNED


def _is_print(found: Comparison) -> bool:
    """Whether the picture is full of structure without a break."""
    return found.view.noise > max(PRINT, PRINT_ABOVE_VIEW * found.reference.noise)


def is_blank(view: View) -> bool:
    """Whether a picture has no structure at all, whatever it is meant to show."""
    smooth = cv2.GaussianBlur(view.coarse, (0, 0), 1.5)
    across, down = cv2.spatialGradient(smooth)
    strength = cv2.magnitude(across.astype(np.float32), down.astype(np.float32))
    return quantile(np.asarray(strength)[::2, ::2], EDGE_QUANTILE) < EDGE_BELOW


def _judge_lost_spots(found: Comparison, spots: Spots, before: Blocks | None) -> Judgement:
    points, reference = found.view.points, found.reference.points
    faintest = CLEARLY * points.threshold
    usual = reference.peak > faintest
    narrow = quantile(reference.narrowness[usual], 0.5) if usual.any() else 0.0
    sharp = (points.peak > faintest) & (points.narrowness > SHARP * narrow)
    if sharp.sum() >= SPOTS_ELSEWHERE * usual.sum():
        return TURNED
    if spots.have_faded or _is_as_bright(before, found.view.brightness):
        return DEFOCUSED
    return covered(found.view, found.hidden)


def _is_as_bright(before: Blocks | None, now: Blocks) -> bool:
    if before is None or before.shape != now.shape:
        return False
    differs = np.abs(now - before) > AS_BRIGHT_LEVELS + AS_BRIGHT * before
    return float(differs.mean()) < AS_BRIGHT_BUT_FOR


def _has_same_layout(reference: View, view: View) -> bool:
    before, after = reference.brightness, view.brightness
    if float(after.std()) < LEAST_CONTRAST * float(before.std()) or before.std() < 1:
        return False
    return float(np.corrcoef(before.ravel(), after.ravel())[0, 1]) > SAME_LAYOUT
