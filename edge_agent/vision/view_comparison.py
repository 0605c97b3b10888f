"""What of the reference view a picture still shows: block by block kept, hidden, or not to be told.

A block whose gradients correlate with the reference's is kept, whatever the light does. Blocks
without structure of their own can be told by brightness only, measured against kept ones nearby.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.view import LEAST_STRUCTURE, Blocks, Field, View, quantile

BlockMask = npt.NDArray[np.bool_]

ABOVE_NOISE = 8.0  # fainter structure than that, in the light that there is, proves nothing
# Correlation of the gradients. The same room in other light, noise or compression: 0.9 and more,
# after a jolt of three pixels of 640 still 0.85; something else in front of it: 0.2.
KEPT_CORRELATION = 0.5
INTACT = 0.8
# The median block of an unmoved view correlates by 0.9 and more with it, and after a jolt of eight
# pixels of 640 by 0.7.
TYPICAL_CORRELATION = 0.9
ALL_SPOTS = 0.85
# Of the contrast that the light lets expect. A cover's own faint pattern may correlate by chance.
KEPT_CONTRAST = 0.25
LEAST_LIGHT = 0.05  # the share of the reference's brightness that expectations go down to
# Grey levels by which a block without structure must differ from what the light lets expect.
OTHER_BRIGHTNESS = 25.0
LIGHT_REACH = 3.0  # blocks; a window, a lamp or an infrared lamp lights more than that evenly
SHARP_STRUCTURE = 400.0  # blocks with less tell sharpness only if there are no better ones
LEAST_TELLING = 10
# Against the reference's: noise, compression and light leave 0.9 to 1.7, a blur of 1.5 pixels of
# 640 leaves 0.35, one of 2.5 pixels 0.15.
SOFT = 0.3
LEAST = np.float32(1e-6)  # instead of nothing in a denominator
# Of a plain view. Spots of a clean picture are kept by 95 of 100, whatever light and noise there
# is, and by 30 where a car or somebody near is before the others.
LEAST_SPOTS = 0.01  # mean square of `Points.field` in a block that has one
CLEARLY = 2.0  # above what counts as a spot now, in the light there is
SPOT_CONTRAST = (
    0.4  # of what the light lets expect; harmless changes leave 0.6, a blur of 2 pixels 0.5
)
STRONG = 3.0  # and to tell sharpness
LEAST_STRONG = LEAST_SPOTS_TOLD = 5  # blocks
FADED = 0.25  # of those that can be told; harmless changes leave a single one so
ADDED = 4.0  # times the structure that was there
LEAST_DETAIL = 1.0  # grey levels squared: the rounding of a picture without noise


@dataclass(frozen=True)
class Spots:
    """Masks over the blocks that have spots, in the picture's light and noise."""

    told: BlockMask
    kept: BlockMask
    faded: BlockMask
    """Still there, but hardly to be seen: out of focus."""
    strong: BlockMask
    """Told so well that their sharpness can be."""

    @property
    def kept_share(self) -> float | None:
        """Of those that can be told; `None` if they are too few."""
        count = np.count_nonzero(self.told)
        return np.count_nonzero(self.kept) / count if count >= LEAST_SPOTS_TOLD else None

    @property
    def have_faded(self) -> bool:
        """Whether so many are blurred that it is the lens."""
        count = np.count_nonzero(self.told)
        faded = np.count_nonzero(self.faded)
        return bool(count >= LEAST_SPOTS_TOLD and faded >= FADED * count)


@dataclass(frozen=True)
class Comparison:
    """Masks over the blocks. `told` = `kept` + `lost`; `hidden` holds `lost`."""

    reference: View
    view: View
    correlation: Blocks
    told: BlockMask
    kept: BlockMask
    intact: BlockMask
    """Kept just where it was."""
    lost: BlockMask
    hidden: BlockMask
    spots: Spots | None
    """Of a plain view."""
    added: BlockMask
    """Structure where a plain view has none."""

    @property
    def hidden_share(self) -> float:
        """Of the picture."""
        return np.count_nonzero(self.hidden) / self.hidden.size

    @cached_property
    def intact_share(self) -> float:
        """Of the blocks that have structure to lose, those that have it just where it was.

        1 if there are too few to tell.
        """
        if self.spots is not None and self.spots.kept_share is not None:
            return self.spots.kept_share
        count = np.count_nonzero(self.told)
        if count < LEAST_TELLING:
            return 1.0
        return np.count_nonzero(self.intact) / count

    @property
    def is_amiss(self) -> bool:
        """Whether it is worth while to look for the view elsewhere."""
        if self.reference.is_plain:
            return self.intact_share < ALL_SPOTS
        typical = quantile(self.correlation[self.told], 0.5) if self.told.any() else 1.0
        return typical < TYPICAL_CORRELATION

    @cached_property
    def soft(self) -> BlockMask:
        """Where the picture is as smooth as what is out of focus."""
        return self._is_soft(self.view)

    @cached_property
    def soft_before(self) -> BlockMask:
        """Where the reference is."""
        return self._is_soft(self.reference)

    @cached_property
    def sharpness(self) -> float | None:
        """Of what is kept, against the reference's; `None` if that is too little."""
        if self.spots is not None:
            strong = self.spots.kept & self.spots.strong
            if np.count_nonzero(strong) < LEAST_STRONG:
                return None
            before = np.maximum(self.reference.points.narrowness[strong], LEAST)
            return quantile(self.view.points.narrowness[strong] / before, 0.5)
        telling = self.kept & (self.reference.energy > SHARP_STRUCTURE)
        if np.count_nonzero(telling) < LEAST_TELLING:
            telling = self.kept
        if np.count_nonzero(telling) < LEAST_TELLING:
            return None
        before = np.maximum(self.reference.sharpness[telling], LEAST)
        return quantile(self.view.sharpness[telling] / before, 0.5)

    def _is_soft(self, view: View) -> BlockMask:
        """Nothing fine is to be seen there, though the reference is sharp."""
        structured = self.reference.energy > SHARP_STRUCTURE
        sharp = self.reference.sharpness[structured]
        usual = quantile(sharp, 0.5) if sharp.size else 0.0
        is_smooth = view.detail <= 2 * max(LEAST_DETAIL, view.noise)
        return np.asarray(is_smooth | (view.sharpness < SOFT * usual))


def compare(reference: View, view: View) -> Comparison:
    """Both views must have the same shape."""
    light = _light(reference, view)
    correlation, contrast = correlate(reference.across, reference.down, reference.energy, view)
    told = (reference.energy > LEAST_STRUCTURE) & (
        light**2 * reference.energy > ABOVE_NOISE * view.noise
    )
    kept = told & (correlation > KEPT_CORRELATION) & (contrast > KEPT_CONTRAST * light)
    intact = told & (correlation > INTACT)
    added = np.zeros_like(told)
    spots = None
    if reference.is_plain:
        spots = compare_spots(reference, view)
        kept = np.where(spots.told, spots.kept, kept)
        told |= spots.told
        is_new = view.energy > np.maximum(LEAST_STRUCTURE, ADDED * reference.energy)
        added = is_new & (view.energy > ABOVE_NOISE * view.noise)
    lost = told & ~kept
    hidden = lost | (~told & (added | _is_otherwise_bright(reference, view, kept)))
    return Comparison(reference, view, correlation, told, kept, intact, lost, hidden, spots, added)


def compare_spots(reference: View, view: View, sent: tuple[Field, Blocks] | None = None) -> Spots:
    """`sent`: where the reference's spots are looked for, and their peaks."""
    now = view.points
    field, peak = sent or (reference.points.field, reference.points.peak)
    light = np.clip(view.brightness / np.maximum(reference.brightness, 1), LEAST_LIGHT, 1)
    expected = light * peak
    energy = view.mean(field * field)
    told = (energy > LEAST_SPOTS) & (expected > CLEARLY * now.threshold)
    product = view.mean(field * now.field)
    correlation = product / np.sqrt(np.maximum(energy * view.mean(now.field**2), LEAST))
    there = told & (correlation > KEPT_CORRELATION)
    kept = there & (now.peak > SPOT_CONTRAST * expected)
    return Spots(told, kept, there & ~kept, expected > STRONG * now.threshold)


def correlate(across: Field, down: Field, energy: Blocks, view: View) -> tuple[Blocks, Blocks]:
    """Correlation and ratio of the gradients, by block.

    Infrared light turns some edges from dark to bright, so the sign is left out.
    """
    product = np.abs(view.mean(view.across * across + view.down * down))
    possible = cv2.sqrt(np.maximum(energy * view.energy, LEAST))
    correlation = np.asarray(product / possible, dtype=np.float32)
    return correlation, np.asarray(product / np.maximum(energy, LEAST), dtype=np.float32)


def _light(reference: View, view: View) -> float:
    """Brightness against the reference's, at most 1."""
    ratio = float(view.brightness.mean()) / max(1.0, float(reference.brightness.mean()))
    return min(1.0, max(LEAST_LIGHT, ratio))


def _is_otherwise_bright(reference: View, view: View, kept: BlockMask) -> BlockMask:
    weight = kept.astype(np.float32)
    change = view.brightness / np.maximum(reference.brightness, 1)
    near = cv2.GaussianBlur(weight, (0, 0), LIGHT_REACH)
    gain = cv2.GaussianBlur(weight * change, (0, 0), LIGHT_REACH) / np.maximum(near, 1e-6)
    expected = np.clip(np.where(near > 1e-3, gain, 1) * reference.brightness, 0, 255)
    differs: BlockMask = np.abs(view.brightness - expected) > OTHER_BRIGHTNESS
    return differs
