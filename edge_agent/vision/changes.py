"""What differs between two pictures in the same light: things and people, not light on them.

Gain and edge evidence combined. A shadow or a patch of light changes brightness by a local factor,
softly, and leaves the texture under it; somebody brings edges of their own and covers others.
"""

import cv2
import numpy as np

from edge_agent.vision.frames import GreyPicture, Mask
from edge_agent.vision.light import Gradient

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

    def differ(self, picture: GreyPicture, gradient: Gradient) -> Mask:
        """The pixels of `picture`, brought into this one's light, that show something else."""
        difference = np.abs(picture - self.picture)
        new_edges = self._find_new_edges(gradient).view(np.uint8)
        near_new_edge = cv2.dilate(new_edges, EDGE_REACH).view(np.bool_)
        softly = (difference > CHANGED * self.contrast) & near_new_edge
        surely = difference > SURELY_CHANGED * self.contrast
        now, then = np.maximum(picture, 0) + LIGHT_FLOOR, self.picture + LIGHT_FLOOR
        surely &= (now > LIGHT_AT_MOST * then) | (then > LIGHT_AT_MOST * now)
        changed = (softly | surely).view(np.uint8)
        return np.asarray(cv2.medianBlur(changed, 3).view(np.bool_))  # without single specks

    def outline(self, changed: Mask, gradient: Gradient, window: tuple[slice, slice]) -> float:
        """In which picture the rim of what changed in a part stands out: 1 the new one, -1 this."""
        area = changed.view(np.uint8)
        rim = cv2.morphologyEx(area, cv2.MORPH_GRADIENT, RIM).view(np.bool_)
        if not rim.any():
            return 0.0
        both = gradient, self.gradient.part(window)
        now, then = (float(g.strength[rim].mean()) for g in both)
        return (now - then) / max(1.0, now + then)

    def _find_new_edges(self, gradient: Gradient) -> Mask:
        """Edges that no local factor of light makes of those which were there."""
        across, down = self.gradient.across, self.gradient.down
        common = cv2.boxFilter(gradient.across * across + gradient.down * down, -1, LOCAL)
        factor = np.clip((common + FACTOR_HELD) / self._held_power, *FACTORS)
        left = cv2.magnitude(gradient.across - factor * across, gradient.down - factor * down)
        return np.asarray(left > NEW_EDGE * self.contrast)


def measure_contrast(picture: GreyPicture) -> float:
    """How much smaller differences are in this room's light than in a bright one's."""
    brightest = float(np.percentile(picture, 95))
    return min(1.0, max(LEAST_CONTRAST, brightest / FULL_BRIGHTNESS))
