"""Brings a picture into the light and the place of a reference, so that the two can be compared.

Lamps, daylight and automatic exposure change gain and offset, differently from one side to the
other; a shaking wall moves the picture by a pixel. All of it is one linear model, fitted to the
background by trimmed least squares (Rousseeuw 1984): people and moved things are left out round by
round. Light is steady most of the time: what was found last is kept as long as it fits as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.frames import GreyPicture, Mask
from edge_agent.vision.gradient import Gradient

FIT_PIXELS = 1000  # more do not move the fit
# Coefficients by what they describe. Gain and offset alone first: a person at one side would pass
# for light from the other. The place is told by edges, once the light is known.
PLAIN, LIGHT, ACROSS, DOWN = slice(0, 4, 3), slice(6), slice(6, 7), slice(7, 8)
ROUNDS, SHIFT_ROUNDS = 3, 2
PLAIN_ROUNDS = 2  # from the light before, which is near
EDGES = 0.05  # the strongest of the background, in each direction
OVEREXPOSED, UNDEREXPOSED = 242.0, 3.0
MIN_GAIN = 0.15  # below it, noise would pass for change
MAX_SHIFT = 3.0  # pixels; a camera that moved further is another picture
LEAST_SHIFT = 0.05  # not worth moving a picture for
FITS_WITHIN = 3.0 / 255
# What fits no worse than this is the light and the place of the picture before. A gain that went
# half as far as the noise shows in it; differences begin to count at many times the noise.
STEADY, STEADY_WITHIN = 1.1, 0.1 / 255
LEAST_USABLE = 0.05  # of the background, if it is not to be used as overexposed as it is
# How strongly each coefficient is held to its usual value; nearly not, but where a background has
# no contrast or no width something must decide.
HOLD = np.array([1e-5, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 1e-4, 1e-4], np.float32)

Pixels = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]
Coefficients = npt.NDArray[np.float32]
"""Of reference × (1, x, y), of (1, x, y), of the reference's gradient across and down."""

Seen = tuple[Pixels, Pixels]
"""What the model says of some pixels, and their brightness, 0 to 1."""

UNCHANGED: Coefficients = np.array([1, 0, 0, 0, 0, 0, 0, 0], np.float32)


class LightModel:
    """Fits pictures to one reference by its `background`, the pixels where nobody belongs."""

    def __init__(self, reference: GreyPicture, gradient: Gradient, background: Mask) -> None:
        height, width = reference.shape
        self._x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        self._y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        inner = background.copy()
        inner[[0, -1]] = inner[:, [0, -1]] = False  # a gradient needs neighbours
        places = np.flatnonzero(inner)
        self.sample = _thin_out(places)
        edges = (_strongest(places, slope) for slope in (gradient.across, gradient.down))
        self._places = (self.sample, *edges)
        self._all_places = np.concatenate(self._places)
        self._found, self._fields = UNCHANGED, _Fields.of(UNCHANGED, self._x, self._y)
        self._usual = [-1.0] * 3  # typical errors, the least since all was fitted; -1: never
        self.follow(reference, gradient)

    def follow(self, reference: GreyPicture, gradient: Gradient) -> None:
        """Go on with a reference that is a little different; its edges are where they were."""
        self._reference = reference
        self._models = [self._describe(places, gradient) for places in self._places]
        self._expected = self._expect(self._found)

    def _describe(self, places: Places, gradient: Gradient) -> Pixels:
        """What each coefficient is multiplied with at these pixels."""
        row, column = np.divmod(places, self._reference.shape[1])
        x, y = self._x[0, column], self._y[row, 0]
        light = self._reference.ravel()[places] / 255
        slopes = [g.ravel()[places] / (8 * 255) for g in (gradient.across, gradient.down)]
        rows = [light, light * x, light * y, np.ones_like(x), x, y, *slopes]
        return np.stack(rows)

    def _expect(self, light: Coefficients) -> Pixels:
        """The brightness that the model says of all samples, one after the other."""
        return np.concatenate([light @ model for model in self._models])

    def _look_at(self, picture: GreyPicture) -> "_Samples":
        brightness = picture.ravel().take(self._all_places)
        brightness *= np.float32(1 / 255)
        return _Samples(brightness, self._models)

    def fit(self, picture: GreyPicture) -> Coefficients:
        """The light and place of `picture`, beginning with what was found for the one before.

        No more is fitted than must be to fit as well as then: nothing, gain and offset, or all.
        """
        samples = self._look_at(picture)
        errors = samples.typical_errors(self._expected)
        if not self._is_usual(errors):
            plain = _improve(self._found, PLAIN, *samples.part(0), rounds=PLAIN_ROUNDS)
            self._expected = self._expect(plain)
            errors = samples.typical_errors(self._expected)
            if self._is_usual(errors):
                self._found = plain
            else:
                self._found = self._fit_all(*map(samples.part, range(3)))
                self._expected = self._expect(self._found)
                errors = self._usual = samples.typical_errors(self._expected)
        self._usual = [min(pair) for pair in zip(self._usual, errors, strict=True)]
        return self._found

    def _is_usual(self, errors: list[float]) -> bool:
        """What fitted badly, before a crowd perhaps, is no measure for what comes after it."""
        return all(
            usual <= FITS_WITHIN and error <= STEADY * usual + STEADY_WITHIN
            for error, usual in zip(errors, self._usual, strict=True)
        )

    def _fit_all(self, even: Seen, across: Seen, down: Seen) -> Coefficients:
        found = _improve(_better_start(*even, self._found), PLAIN, *even)
        found = _improve(found, LIGHT, *even)
        found = _improve(found, ACROSS, *across, rounds=SHIFT_ROUNDS)
        return _improve(found, DOWN, *down, rounds=SHIFT_ROUNDS)

    def bring_back(self, picture: GreyPicture, light: Coefficients) -> GreyPicture:
        """The picture as it would be in the reference's light and place."""
        if self._fields.light is not light:
            self._fields = _Fields.of(light, self._x, self._y)
        shift = light[6:] / max(MIN_GAIN, light[0])
        if LEAST_SHIFT < np.abs(shift).max() <= MAX_SHIFT:
            move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
            size = picture.shape[1], picture.shape[0]
            picture = np.asarray(
                cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REPLICATE), np.float32
            )
        back = picture - self._fields.offset
        back /= self._fields.gain
        # Where the sensor is at its end, the true brightness is beyond what it says.
        darkest, brightest, *_ = cv2.minMaxLoc(picture)
        if brightest >= OVEREXPOSED:
            np.maximum(back, self._reference, out=back, where=picture >= OVEREXPOSED)
        if darkest <= UNDEREXPOSED:
            np.minimum(back, self._reference, out=back, where=picture <= UNDEREXPOSED)
        return back


@dataclass(frozen=True, slots=True)
class _Fields:
    """Gain and offset, in grey levels, of each pixel in some light."""

    light: Coefficients
    gain: GreyPicture
    offset: GreyPicture

    @classmethod
    def of(cls, light: Coefficients, x: Pixels, y: Pixels) -> "_Fields":
        """`x`, `y`: places of columns and rows, -1 to 1."""
        gain = (light[0] + light[1] * x) + light[2] * y
        offset = 255 * (light[3] + light[4] * x) + (255 * light[5]) * y
        return cls(light, np.maximum(gain, MIN_GAIN, out=gain), offset)


class _Samples:
    """One picture's brightness, 0 to 1, at the pixels that the models describe.

    Those too bright or black are left out, unless too few are left to go by.
    """

    def __init__(self, brightness: Pixels, models: Sequence[Pixels]) -> None:
        self._models = models
        ends = [0, *accumulate(model.shape[1] for model in models)]
        self._parts = [brightness[begin:end] for begin, end in pairwise(ends)]
        self._usable: list[Mask | None] = [None] * len(models)
        brightest, darkest = OVEREXPOSED / 255, UNDEREXPOSED / 255
        if brightness.max() >= brightest or brightness.min() <= darkest:
            for number, part in enumerate(self._parts):
                usable = (part < brightest) & (part > darkest)
                if LEAST_USABLE * part.size <= np.count_nonzero(usable) < part.size:
                    self._usable[number] = usable

    def part(self, number: int) -> Seen:
        """The model and the brightness of one sample's usable pixels."""
        model, seen, usable = self._models[number], self._parts[number], self._usable[number]
        return (model, seen) if usable is None else (model[:, usable], seen[usable])

    def typical_errors(self, expected: Pixels) -> list[float]:
        """By sample, how far its usable pixels are from what was expected of all."""
        errors, begin = [], 0
        for seen, usable in zip(self._parts, self._usable, strict=True):
            miss = seen - expected[begin : begin + seen.size]
            begin += seen.size
            errors.append(_middle(np.abs(miss if usable is None else miss[usable])))
        return errors


def _thin_out(places: Places) -> Places:
    return places[:: max(1, places.size // FIT_PIXELS)]


def _strongest(places: Places, slope: GreyPicture) -> Places:
    order = np.argsort(-np.abs(slope.ravel()[places]), kind="stable")
    return np.sort(_thin_out(places[order[: max(1, int(EDGES * places.size))]]))


def _better_start(model: Pixels, seen: Pixels, start: Coefficients) -> Coefficients:
    """After a lamp was switched, the ratio of brightness is nearer than the light before."""
    ratio = UNCHANGED * np.float32(_median(seen) / max(0.004, _median(model[0])))
    errors = [_middle(np.abs(seen - guess @ model)) for guess in (start, ratio)]
    return start if errors[0] <= errors[1] else ratio


def _improve(
    found: Coefficients, kind: slice, model: Pixels, seen: Pixels, rounds: int = ROUNDS
) -> Coefficients:
    """Fit the coefficients of one kind anew; pixels that fit badly are left out."""
    found, part = found.copy(), model[kind]
    hold = HOLD[kind] * max(1, seen.size)
    held, usual = np.diag(hold), hold * UNCHANGED[kind]
    for _ in range(rounds):
        error = seen - found @ model
        misses = np.abs(error)
        used = part * (misses <= max(FITS_WITHIN, 2 * _median(misses)))
        square = used @ part.T
        wanted = used @ error + square @ found[kind] + usual
        found[kind] = np.linalg.solve(square + held, wanted)
    return found


def _middle(values: Pixels) -> float:
    """The upper median, of values whose order is not needed any more.

    `np.median` takes four times as long for so few.
    """
    middle = values.size // 2
    values.partition(middle)
    return float(values[middle])


def _median(values: Pixels) -> float:
    return _middle(values.copy())
