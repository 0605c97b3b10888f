"""Brings a picture into the light and the place of a reference, so that the two can be compared.

Lamps, daylight and automatic exposure change gain and offset, differently from one side to the
other; a shaking wall moves the picture by a pixel. All of it is one linear model, fitted to the
background by trimmed least squares (Rousseeuw 1984): people and moved things are left out round by
round. Light is steady most of the time: what was found last is kept as long as it fits as well.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.frames import GreyPicture, Mask

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


@dataclass(frozen=True)
class Gradient:
    """Brightness gradient by Sobel's operator; 8 is one grey level per pixel."""

    across: GreyPicture
    down: GreyPicture

    @classmethod
    def of(cls, picture: GreyPicture) -> "Gradient":
        """Both directions, of the same shape as the picture."""
        return cls(
            np.asarray(cv2.Sobel(picture, cv2.CV_32F, 1, 0), dtype=np.float32),
            np.asarray(cv2.Sobel(picture, cv2.CV_32F, 0, 1), dtype=np.float32),
        )

    def part(self, window: tuple[slice, slice]) -> "Gradient":
        """That of a part of the picture."""
        return Gradient(self.across[window], self.down[window])

    @cached_property
    def strength(self) -> GreyPicture:
        """Its length."""
        return np.asarray(cv2.magnitude(self.across, self.down), dtype=np.float32)


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
        self._found, self._fields = UNCHANGED, _Fields.of(UNCHANGED, self._x, self._y)
        self._usual = [-1.0] * 3  # typical errors, the least since all was fitted; -1: never
        self.follow(reference, gradient)

    def follow(self, reference: GreyPicture, gradient: Gradient) -> None:
        """Go on with a reference that is a little different; its edges are where they were."""
        self._reference = reference
        self._even, self._across, self._down = (
            self._describe(places, gradient) for places in self._places
        )

    def _describe(self, places: Places, gradient: Gradient) -> "_Sample":
        """What each coefficient is multiplied with at these pixels."""
        row, column = np.divmod(places, self._reference.shape[1])
        x, y = self._x[0, column], self._y[row, 0]
        light = self._reference.ravel()[places] / 255
        slopes = [g.ravel()[places] / (8 * 255) for g in (gradient.across, gradient.down)]
        rows = [light, light * x, light * y, np.ones_like(x), x, y, *slopes]
        return _Sample(places, np.stack(rows))

    def fit(self, picture: GreyPicture) -> Coefficients:
        """The light and place of `picture`, beginning with what was found for the one before.

        No more is fitted than must be to fit as well as then: nothing, gain and offset, or all.
        """
        samples = [part.read(picture) for part in (self._even, self._across, self._down)]
        errors = _typical_errors(samples, self._found)
        if not self._is_usual(errors):
            plain = _improve(self._found, PLAIN, *samples[0], rounds=PLAIN_ROUNDS)
            errors = _typical_errors(samples, plain)
            if self._is_usual(errors):
                self._found = plain
            else:
                self._found = self._fit_all(*samples)
                errors = self._usual = _typical_errors(samples, self._found)
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


@dataclass(frozen=True, slots=True)
class _Sample:
    """Some pixels of the background, and what the model says of each."""

    places: Places
    model: Pixels

    def read(self, picture: GreyPicture) -> Seen:
        """The model and the brightness, 0 to 1, of those that are neither too bright nor black."""
        seen = picture.ravel().take(self.places)
        seen *= np.float32(1 / 255)
        usable = (seen < OVEREXPOSED / 255) & (seen > UNDEREXPOSED / 255)
        if not LEAST_USABLE * seen.size <= np.count_nonzero(usable) < seen.size:
            return self.model, seen  # all of them, or too few to go by
        return self.model[:, usable], seen[usable]


def _thin_out(places: Places) -> Places:
    return places[:: max(1, places.size // FIT_PIXELS)]


def _strongest(places: Places, slope: GreyPicture) -> Places:
    order = np.argsort(-np.abs(slope.ravel()[places]), kind="stable")
    return np.sort(_thin_out(places[order[: max(1, int(EDGES * places.size))]]))


def _better_start(model: Pixels, seen: Pixels, start: Coefficients) -> Coefficients:
    """After a lamp was switched, the ratio of brightness is nearer than the light before."""
    ratio = UNCHANGED * np.float32(_median(seen) / max(0.004, _median(model[0])))
    errors = [_median(np.abs(seen - guess @ model)) for guess in (start, ratio)]
    return start if errors[0] <= errors[1] else ratio


def _improve(
    found: Coefficients, kind: slice, model: Pixels, seen: Pixels, rounds: int = ROUNDS
) -> Coefficients:
    """Fit the coefficients of one kind anew; pixels that fit badly are left out."""
    found, part = found.copy(), model[kind]
    hold = HOLD[kind] * max(1, seen.size)
    for _ in range(rounds):
        error = seen - found @ model
        misses = np.abs(error)
        used = part * (misses <= max(FITS_WITHIN, 2 * _median(misses)))
        square = used @ part.T
        wanted = used @ error + square @ found[kind] + hold * UNCHANGED[kind]
        found[kind] = np.linalg.solve(square + np.diag(hold), wanted)
    return found


def _typical_errors(samples: list[Seen], light: Coefficients) -> list[float]:
    return [_median(np.abs(seen - light @ model)) for model, seen in samples]


def _median(values: Pixels) -> float:
    """The upper median; `np.median` takes four times as long for so few."""
    middle = values.size // 2
    return float(np.partition(values, middle)[middle])
