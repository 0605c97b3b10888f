"""Pictures of real cameras that nobody tampers with, in which much changes all the same."""

import cv2
import numpy as np

from bench.tamper_pictures import (
    HEIGHT,
    LIGHT_FROM_S,
    WIDTH,
    Change,
    Clip,
    look,
    noise,
    to_image,
)
from edge_agent.vision.frames import Image


def _lit(gain: float, offset: float = 0, grain: float = 0) -> Change:
    return lambda wide, t: to_image(look(wide) * gain + offset + noise(t, grain))


def _lamp(wide: Image, at_s: float) -> Image:
    return to_image(look(wide) * (0.55 if LIGHT_FROM_S <= at_s < 14 else 1.0))


def _side_light(wide: Image, at_s: float) -> Image:
    across = np.linspace(0.5, 1.35, WIDTH)[None, :, None] if at_s >= LIGHT_FROM_S else 1.0
    return to_image(look(wide) * across)


def _sun(wide: Image, at_s: float) -> Image:
    """A patch that fills a quarter of the picture, much brighter, with a hard edge."""
    image = look(wide)
    if at_s < LIGHT_FROM_S:
        return image
    corners = np.array([(0.3, 0.35), (0.7, 0.3), (0.9, 1.0), (0.4, 1.0)]) * (WIDTH, HEIGHT)
    patch = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.fillPoly(patch, [corners.astype(np.int32)], 1)
    light = 1 + 0.8 * cv2.GaussianBlur(patch, (0, 0), 2)[:, :, None]
    return to_image(image * light)


def _infrared(wide: Image, at_s: float) -> Image:
    """At night: no colour, its own lamp in the middle, another brightness of things, noise."""
    image = look(wide)
    if at_s < LIGHT_FROM_S:
        return image
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    lamp = np.exp(-(((x - WIDTH / 2) / WIDTH) ** 2 + ((y - HEIGHT / 2) / HEIGHT) ** 2) * 2)
    seen = 220 * (grey / 255) ** 0.7 * lamp
    return np.repeat(to_image(seen[:, :, None] + noise(at_s, 5)), 3, axis=2)


def _compressed(wide: Image, _at_s: float) -> Image:
    _, jpeg = cv2.imencode(".jpg", look(wide), [cv2.IMWRITE_JPEG_QUALITY, 14])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), dtype=np.uint8)


def _shaken(wide: Image, at_s: float) -> Image:
    dice = np.random.default_rng(round(at_s * 1000))
    return look(wide, *dice.uniform(-3, 3, 2))


def _cart(wide: Image, at_s: float) -> Image:
    """Somebody pushes a cupboard past: it fills half of the picture, for two seconds and a half."""
    image, width = look(wide).astype(np.float32), WIDTH // 2
    left = round((at_s - LIGHT_FROM_S) * 400) - width
    if -width < left < WIDTH:
        x0, x1 = max(0, left), min(WIDTH, left + width)
        image[20:, x0:x1] = 70 + 25 * (np.arange(x0, x1) - left > 0.5 * width)[None, :, None]
        image[20:26, x0:x1] = image[180:186, x0:x1] = 20
    return to_image(image)


def _somebody_near(figure: Clip) -> Change:
    """Somebody sits down close to the camera and fills half of the picture."""

    def change(wide: Image, at_s: float) -> Image:
        if at_s < LIGHT_FROM_S:
            return look(wide)
        person = figure.at(at_s)
        mask = (cv2.cvtColor(person, cv2.COLOR_BGR2GRAY) < 150).astype(np.uint8)
        mask[:110] = mask[:, :170] = mask[:, 600:] = 0  # what else is dark in that room
        whole = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8))
        way = np.array([[1.5, 0, -230], [0, 1.5, -250]], np.float32)
        there = cv2.warpAffine(whole, way, (WIDTH, HEIGHT))[:, :, None] > 0
        near = cv2.warpAffine(person, way, (WIDTH, HEIGHT))
        return np.asarray(np.where(there, near, look(wide)), dtype=np.uint8)

    return change


HARMLESS: dict[str, Change] = {
    "as recorded": lambda wide, _t: look(wide),
    "dim": _lit(0.4, grain=3),
    "dim and noisy": _lit(0.3, grain=8),
    "bright": _lit(1.35, 12),
    "noisy": _lit(1, grain=14),
    "dims slowly": lambda w, t: to_image(look(w) * (1 - 0.03 * t)),
    "lamp switched": _lamp,
    "side light": _side_light,
    "sun": _sun,
    "infrared switch": _infrared,
    "compressed": _compressed,
    "shaken": _shaken,
    "cart passes": _cart,
}


def all_harmless(figure: Clip) -> dict[str, Change]:
    """`figure`: a clip of somebody who faces the camera, to be drawn near."""
    return {**HARMLESS, "somebody near": _somebody_near(figure)}
