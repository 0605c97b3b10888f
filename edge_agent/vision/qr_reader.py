"""QR codes in a picture, by zxing-cpp: once over for the stream, a second look for still images.

Texts are exact as encoded, control characters included. Micro QR and rMQR count as QR codes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import zxingcpp
from cv2.typing import MatLike

from edge_agent.vision.frames import Image

Grey = MatLike  # height × width, eight bits

FORMATS = zxingcpp.BarcodeFormats(
    (
        zxingcpp.BarcodeFormat.QRCode,
        zxingcpp.BarcodeFormat.MicroQRCode,
        zxingcpp.BarcodeFormat.RMQRCode,
    )
)
BINARIZERS = (zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram)
# A larger picture is brought down to this before a second look, which may enlarge it threefold: a
# second over one still image is too long. The first look always has the whole resolution.
LONGEST_SIDE = 1400


@dataclass(frozen=True, slots=True)
class Code:
    """One decoded code; `x`, `y`: its centre as shares of the picture looked at."""

    text: str
    x: float
    y: float


def read_fast(image: Image) -> list[Code]:
    """One pass over a frame of the stream; the next frame is the second look."""
    return _decode(_to_grey(image), BINARIZERS[0])


def read_thoroughly(image: Image) -> list[Code]:
    """Every code of a still image, each text once; ends at the first look that shows any."""
    for look in _looks(_to_grey(image)):
        for binarizer in BINARIZERS:
            codes = _decode(look, binarizer)
            if codes:
                return codes
    return []


def _looks(grey: Grey) -> Iterator[Grey]:
    """The picture itself, then made over; in the order in which most hard images are won."""
    yield grey
    longest = max(grey.shape)
    if longest > LONGEST_SIDE:
        grey = _scale(grey, LONGEST_SIDE / longest)
        yield grey
    double = _scale(grey, 2)
    yield _sharpen(double, radius=3, strength=2)  # small, slightly blurred
    yield double
    yield _sharpen(double, radius=6, strength=4)  # badly out of focus
    yield _scale(grey, 2.5, 1.5)  # tilted about the upright axis
    yield _scale(grey, 1.5, 2.5)  # tilted about the level one
    yield cv2.GaussianBlur(grey, (0, 0), 1.5)  # noise, moiré, printed texture
    yield _sharpen(_scale(grey, 3), radius=4, strength=2)
    yield _scale(grey, 0.5)
    yield cv2.createCLAHE(clipLimit=3, tileGridSize=(8, 8)).apply(grey)  # faint or half in shadow
    yield cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((3, 3)))  # broken light modules
    yield cv2.morphologyEx(grey, cv2.MORPH_OPEN, np.ones((3, 3)))  # broken dark modules
    for degrees in (22, 45):
        yield _rotate(double, degrees)


def _to_grey(image: Image) -> Grey:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _scale(grey: Grey, across: float, down: float | None = None) -> Grey:
    method = cv2.INTER_CUBIC if across > 1 else cv2.INTER_AREA
    height, width = grey.shape
    size = (max(1, round(width * across)), max(1, round(height * (down or across))))
    return cv2.resize(grey, size, interpolation=method)


def _sharpen(grey: Grey, *, radius: float, strength: float) -> Grey:
    """Unsharp mask."""
    blurred = cv2.GaussianBlur(grey, (0, 0), radius)
    return cv2.addWeighted(grey, 1 + strength, blurred, -strength, 0)


def _rotate(grey: Grey, degrees: float) -> Grey:
    """About the centre, on a white sheet large enough for the corners."""
    height, width = grey.shape
    side = int(np.hypot(height, width))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turn[:, 2] += (side - width) / 2, (side - height) / 2
    return cv2.warpAffine(grey, turn, (side, side), flags=cv2.INTER_CUBIC, borderValue=(255.0,))


def _decode(grey: Grey, binarizer: zxingcpp.Binarizer) -> list[Code]:
    height, width = grey.shape
    found: dict[str, Code] = {}
    for result in zxingcpp.read_barcodes(
        np.ascontiguousarray(grey),
        formats=FORMATS,
        text_mode=zxingcpp.TextMode.Plain,
        binarizer=binarizer,
    ):
        at = result.position
        corners = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
        x = sum(corner.x for corner in corners) / 4 / width
        y = sum(corner.y for corner in corners) / 4 / height
        found.setdefault(result.text, Code(result.text, x, y))
    return list(found.values())
