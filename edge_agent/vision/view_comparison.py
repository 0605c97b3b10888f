"""What of the reference view a picture still shows: block by block kept, hidden, or not to be told.

A block whose gradients correlate with the reference's is kept, whatever the light does. Blocks
without structure of their own can be told by brightness only, measured against kept ones nearby.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.view import Blocks, Field, View, quantile

BlockMask = npt.NDArray[np.bool_]

# Mean square of the gradient, as `View.energy`: a wall's own shading stays below, the faintest
# joints of a floor are above.
LEAST_STRUCTURE = 80.0
ABOVE_NOISE = 8.0  # fainter structure than that, in the light that there is, proves nothing
# Correlation of the gradients. The same room in other light, noise or compression: 0.9 and more,
# after a jolt of three pixels of 640 still 0.85; something else in front of it: 0.2.
KEPT_CORRELATION = 0.5
INTACT = 0.8
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
LEAST_DETAIL = 1.0  # grey levels squared: the rounding of a picture without noise


@dataclass(frozen=True)
class Comparison:
    """Masks over the blocks. `told` = `kept` + `lost`; `hidden` holds `lost`."""

    reference: View
    view: View
    correlation: Blocks
    told: BlockMask
    kept: BlockMask
    lost: BlockMask
    hidden: BlockMask

    @property
    def hidden_share(self) -> float:
        """Of the picture."""
        return np.count_nonzero(self.hidden) / self.hidden.size

    @cached_property
    def intact_share(self) -> float:
        """Of the blocks that have structure to lose, those that have it just where it was.

        1 if there are too few to tell.
        """
        count = np.count_nonzero(self.told)
        if count < LEAST_TELLING:
            return 1.0
        return np.count_nonzero(self.told & (self.correlation > INTACT)) / count

    @cached_property
    def typical_correlation(self) -> float:
        """Of the median block; 1 if nothing can be told."""
        return quantile(self.correlation[self.told], 0.5) if self.told.any() else 1.0

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
    lost = told & ~kept
    hidden = lost | (~told & _is_otherwise_bright(reference, view, kept))
    return Comparison(reference, view, correlation, told, kept, lost, hidden)


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
