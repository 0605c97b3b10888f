"""The same scene in other light, noise and motion of the camera: one function each.

A change gets the image, the second of the clip and dice, and gives the image as it would be.
"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.frames import Image

WIDTH, HEIGHT = 640, 360
LIGHT_CHANGES_AT_S = 5.5  # after the seconds that calibrate

Change = Callable[[Image, float, np.random.Generator], Image]


def _to_image(picture: npt.NDArray[np.floating]) -> Image:
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def add_noise(
    image: npt.NDArray[np.floating] | Image, sigma: float, dice: np.random.Generator
) -> Image:
    """Grain as of a sensor in poor light, the same in all colours."""
    grain = dice.normal(0, sigma, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return _to_image(image + grain)


def _stepped(image: Image, at_s: float, _dice: np.random.Generator) -> Image:
    """Automatic exposure: up and down at once, in empty and in occupied seconds."""
    steps = ((15, 0.6), (21, 1.0), (33, 1.35), (40, 0.8), (47, 1.0), (60, 0.5))
    gain = [1.0, *(gain for begin_s, gain in steps if at_s >= begin_s)][-1]
    return _to_image(image * np.float32(gain))


def _side_lit(image: Image, at_s: float, _dice: np.random.Generator) -> Image:
    across = np.linspace(0.5, 1.3, WIDTH, dtype=np.float32)[None, :, None]
    return image if at_s < LIGHT_CHANGES_AT_S else _to_image(image * across)


def _lamp_lit(image: Image, at_s: float, _dice: np.random.Generator) -> Image:
    """A lamp over the desk, switched on and off while somebody is there and while nobody is."""
    if not (12 <= at_s < 21 or 30 <= at_s < 60):
        return image
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    distance2 = ((x - 400) / 160) ** 2 + ((y - 150) / 130) ** 2
    return _to_image(image * (0.75 + 0.7 * np.exp(-distance2))[:, :, None])


def _sun_patched(image: Image, at_s: float, _dice: np.random.Generator) -> Image:
    """A hard-edged patch of sun that comes out, creeps over the zone and goes."""
    if not (10 <= at_s < 66):
        return image
    left = 340 + 0.05 * at_s
    corners = np.array([(left, 140), (left + 110, 150), (left + 70, 330), (left - 40, 320)])
    patch = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(patch, [corners.astype(np.int32)], 1)
    light = np.where(cv2.GaussianBlur(patch.astype(np.float32), (5, 5), 0)[:, :, None] > 0, 1.0, 0)
    soft = cv2.GaussianBlur(light.astype(np.float32), (7, 7), 0)[:, :, None]
    return _to_image(image * (1 + 0.4 * soft))


def _shadowed(image: Image, at_s: float, _dice: np.random.Generator) -> Image:
    """Soft shadows of people who pass outside the picture."""
    shade = np.ones(WIDTH, np.float32)
    x = np.arange(WIDTH, dtype=np.float32)
    for begin_s in (5.2, 20.2, 30.0, 45.5, 70.0):
        middle = 150 + 140 * (at_s - begin_s)
        shade *= 1 - 0.35 * np.exp(-(((x - middle) / 55) ** 2))
    return _to_image(image * shade[None, :, None])


def _jittered(image: Image, _at_s: float, dice: np.random.Generator) -> Image:
    """A wall that shakes: up to two pixels either way."""
    dx, dy = dice.uniform(-2, 2, 2)
    shift = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    moved = cv2.warpAffine(image, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


CHANGES: dict[str, Change] = {
    "as recorded": lambda image, _at_s, _dice: image,
    "dim": lambda image, _at_s, dice: add_noise(image * np.float32(0.3), 4, dice),
    "dims slowly": lambda image, at_s, _dice: _to_image(image * np.float32(1 - at_s / 130)),
    "exposure steps": _stepped,
    "side light": _side_lit,
    "lamp switched": _lamp_lit,
    "sun patch": _sun_patched,
    "shadows": _shadowed,
    "noise": lambda image, _at_s, dice: add_noise(image, 14, dice),
    "jitter": _jittered,
}
