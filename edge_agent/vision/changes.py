"""What differs between two pictures in the same light: things and people, not light on them.

Gain and edge evidence combined. A shadow or a patch of light changes brightness by a local factor,
softly, and leaves the texture under it; somebody brings edges of their own and covers others.
"""

import cv2
import numpy as np

from edge_agent.vision.frames import GreyImage, GreyPicture, Mask
from edge_agent.vision.gradient import Gradient, Slopes
from edge_agent.vision.view import quantile
from edge_agent.vision.windows import Window, shift, surround, widen, within

# Grey levels in a room as bright as FULL_BRIGHTNESS; in a darker one all differences shrink alike.
# Sensor noise stays under 5 on the working picture; a grey coat before a grey wall differs by 20
# to 40. Between the two levels a difference counts only near an edge that was not there.
CHANGED = 18.0
SURELY_CHANGED = 50.0
LIGHT_AT_MOST = 1.7  # a lamp or the sun on a wall, or their lack; beyond it, it is another surface
LIGHT_FLOOR = 10.0  # grey levels of stray light, so that near black has no endless ratio
NEW_EDGE = 60.0
EDGE_REACH = np.ones((9, 9), np.uint8)  # about a hand's width at the desk
LOCAL = (15, 15)  # in such a window, light has one factor
FACTOR_HELD = 256.0  # squared edge strength below which a window tells no factor
FACTORS = (0.5, 2.0)
FULL_BRIGHTNESS = 200.0  # of the brightest twentieth
LEAST_CONTRAST = 0.25  # below it, noise would pass for change
RIM = np.ones((3, 3), np.uint8)


class Reference:
    """One empty picture, or a part of one, with what comparing with it needs."""

    def __init__(self, picture: GreyPicture, contrast: float | None = None) -> None:
        self.picture = picture
        self.gradient = Gradient.of(picture)
        self.contrast = measure_contrast(picture) if contrast is None else contrast
        across, down = self.gradient.across, self.gradient.down
        power = cv2.boxFilter(across * across + down * down, -1, LOCAL)
        self._held_power = power + FACTOR_HELD

    def differ(self, picture: GreyPicture, gradient: Slopes) -> Mask:
        """The pixels of `picture`, brought into this one's light, that show something else."""
        difference = np.asarray(cv2.absdiff(picture, self.picture))
        changed = difference > CHANGED * self.contrast
        window = surround(changed)
        if window is None:
            return changed
        # Where it differs at all, it must do so near a new edge, or surely.
        near_new_edge = self._is_near_new_edge(gradient, window)
        now, then = np.maximum(picture[window], 0) + LIGHT_FLOOR, self.picture[window] + LIGHT_FLOOR
        surely = difference[window] > SURELY_CHANGED * self.contrast
        surely &= (now > LIGHT_AT_MOST * then) | (then > LIGHT_AT_MOST * now)
        changed[window] &= near_new_edge | surely
        around = widen(window, 1, changed.shape)
        without_specks = cv2.medianBlur(changed[around].view(np.uint8), 3)
        changed[around] = without_specks.view(np.bool_)
        return changed

    def outline(self, changed: Mask, gradient: Slopes, window: Window) -> float:
        """In which picture the rim of what changed stands out: 1 the new one, -1 this.

        `changed`: of that window; `gradient`: of the whole picture.
        """
        found = surround(changed)
        if found is None:
            return 0.0
        around = widen(found, 1, changed.shape)
        area = changed[around].view(np.uint8)
        rim = cv2.morphologyEx(area, cv2.MORPH_GRADIENT, RIM).view(np.bool_)
        if not rim.any():  # it fills the whole part
            return 0.0
        place = shift(around, window)
        both = gradient.part(place), self.gradient.part(place)
        now, then = (float(np.hypot(g.across[rim], g.down[rim]).mean()) for g in both)
        return (now - then) / max(1.0, now + then)

    def _is_near_new_edge(self, gradient: Slopes, window: Window) -> Mask:
        """By pixel of the window; edges that no local factor of light makes of those before."""
        reach = EDGE_REACH.shape[0] // 2 + LOCAL[0] // 2
        wide = widen(window, reach, self.picture.shape)
        now, then = gradient.part(wide), self.gradient.part(wide)
        common = cv2.boxFilter(now.across * then.across + now.down * then.down, -1, LOCAL)
        factor = np.clip((common + FACTOR_HELD) / self._held_power[wide], *FACTORS)
        left = cv2.magnitude(now.across - factor * then.across, now.down - factor * then.down)
        new_edges = (np.asarray(left) > NEW_EDGE * self.contrast).view(np.uint8)
        near = cv2.dilate(new_edges, EDGE_REACH).view(np.bool_)
        return np.asarray(near[within(window, wide)])


def measure_contrast(picture: GreyPicture | GreyImage) -> float:
    """How much smaller differences are in this room's light than in a bright one's."""
    brightest = quantile(picture[::2, ::2], 0.95)
    return min(1.0, max(LEAST_CONTRAST, brightest / FULL_BRIGHTNESS))
