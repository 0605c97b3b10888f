"""How full each zone is against its empty reference: background subtraction with compensated gain.

The reference is the median picture of a span in which all zones were empty. Unlike an adaptive
background model it never absorbs somebody who sits still. Knows nothing of time or of people.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.core.desk_zones import Zone
from edge_agent.vision.frames import GreyPicture, Mask, edge_strength

# Grey levels in a room as bright as FULL_BRIGHTNESS; in a darker one all differences shrink alike.
# Sensor noise stays under 5 on the working picture; a grey coat before a grey wall differs by 20
# to 40.
CHANGED = 18.0
# A shadow or a patch of light changes brightness, but softly and seldom by so much. Between the two
# levels a difference counts only near an edge that was not there.
SURELY_CHANGED = 50.0
NEW_EDGE = 60.0
EDGE_REACH = np.ones((9, 9), np.uint8)  # about a hand's width at the desk
FULL_BRIGHTNESS = 200.0  # of the brightest twentieth
LEAST_CONTRAST = 0.25  # below it, noise would pass for change

MIN_GAIN = 0.2  # likewise
BACKGROUND_SHARE = 0.25  # of the picture outside all zones is enough to tell the light by
OVEREXPOSED = 250.0
FIT_ROUNDS = 4
FIT_PIXELS = 4000  # more do not move the fit
MAX_REFERENCE_PICTURES = 50  # the median of more is no better and costs memory

Pixels = npt.NDArray[np.float32]


class CalibrationError(ValueError):
    """These pictures can't be an empty reference; the message says why."""


class ZoneObserver:
    """Compares pictures with the empty reference, zone by zone."""

    def __init__(self, zones: Sequence[Zone]) -> None:
        self._zones = tuple(zones)
        self._reference: GreyPicture | None = None
        self._masks: dict[Zone, Mask] = {}
        self._sample = np.zeros(0, np.intp)
        self._contrast = 1.0

    @property
    def reference(self) -> GreyPicture | None:
        """The empty picture, or `None` before the first calibration."""
        return self._reference

    def calibrate(self, pictures: Iterable[GreyPicture]) -> None:
        """Take the median of pictures in which every zone is empty as the reference."""
        spread = list(pictures)
        spread = spread[:: max(1, -(-len(spread) // MAX_REFERENCE_PICTURES))]
        if not spread:
            raise CalibrationError("no picture to calibrate with")
        if len({picture.shape for picture in spread}) > 1:
            raise CalibrationError("the pictures differ in size")
        self.use_reference(np.median(np.stack(spread), axis=0).astype(np.float32))

    def use_reference(self, reference: GreyPicture) -> None:
        """Go on with a reference from an earlier run."""
        self._reference = reference
        self._masks = {zone: _draw(zone, reference.shape) for zone in self._zones}
        outside = ~np.any(list(self._masks.values()), axis=0)
        is_enough = outside.mean() >= BACKGROUND_SHARE
        sample = np.flatnonzero(outside if is_enough else np.ones_like(outside))
        self._sample = sample[:: max(1, sample.size // FIT_PIXELS)]
        brightest = float(np.percentile(reference, 95))
        self._contrast = min(1.0, max(LEAST_CONTRAST, brightest / FULL_BRIGHTNESS))

    def observe(self, picture: GreyPicture) -> dict[Zone, float | None]:
        """For each zone the share of its pixels that changed; `None` if there is no reference."""
        reference = self._reference
        if reference is None or picture.shape != reference.shape:
            return dict.fromkeys(self._zones, None)
        gain, offset = fit_light(reference.flat[self._sample], picture.flat[self._sample])
        expected = np.clip(gain * reference + offset, 0, 255)
        changed = _changed(picture - expected, self._contrast * max(gain, MIN_GAIN))
        return {zone: float(changed[mask].mean()) for zone, mask in self._masks.items()}


def fit_light(reference: Pixels, picture: Pixels) -> tuple[float, float]:
    """Gain and offset of picture ≈ gain × reference + offset, by trimmed least squares.

    Pixels that fit badly (people, things moved) and overexposed ones are left out round by round.
    """
    usable = picture < OVEREXPOSED
    if usable.mean() > BACKGROUND_SHARE:
        reference, picture = reference[usable], picture[usable]
    gain = float(np.median(picture)) / max(1.0, float(np.median(reference)))
    offset = 0.0
    for _ in range(FIT_ROUNDS):
        error = np.abs(picture - gain * reference - offset)
        fits = error <= max(4.0, 2 * float(np.median(error)))
        x, y = reference[fits], picture[fits]
        x_mean, y_mean = float(x.mean()), float(y.mean())
        spread = float(((x - x_mean) ** 2).mean())
        if spread < 1:  # a background without contrast tells an offset at most
            return 1.0, y_mean - x_mean
        gain = float(((x - x_mean) * (y - y_mean)).mean()) / spread
        offset = y_mean - gain * x_mean
    return gain, offset


def _changed(difference: GreyPicture, scale: float) -> Mask:
    """Where somebody or something is; `scale` is the picture's contrast against a bright room's."""
    size = np.abs(difference)
    new_edges = (edge_strength(difference) > NEW_EDGE * scale).astype(np.uint8)
    near_new_edge = cv2.dilate(new_edges, EDGE_REACH).astype(np.bool_)
    changed: Mask = (size > SURELY_CHANGED * scale) | ((size > CHANGED * scale) & near_new_edge)
    return changed


def _draw(zone: Zone, shape: tuple[int, ...]) -> Mask:
    """The zone's pixels; at least one, however thin the polygon."""
    height, width = shape
    corners = np.array([(x * (width - 1), y * (height - 1)) for x, y in zone.polygon])
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    return mask.astype(np.bool_)
