"""QR codes in a picture, by zxing-cpp: once over for the stream, a second look for still images.

Texts are exact as encoded, control characters included. Micro QR and rMQR count as QR codes in
still images, but hardly correct errors: what blurred pictures seem to say in them is no text yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import zxingcpp
from cv2.typing import MatLike

from edge_agent.vision.frames import GreyImage, Image

Grey = MatLike  # height × width, eight bits

DOUBTFUL = {zxingcpp.BarcodeFormat.MicroQRCode, zxingcpp.BarcodeFormat.RMQRCode}
FORMATS = zxingcpp.BarcodeFormats((zxingcpp.BarcodeFormat.QRCode, *DOUBTFUL))
BINARIZERS = (zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram)
# A larger picture is brought down to this before a second look, which may enlarge it threefold: a
# second over one still image is too long. The first look always has the whole resolution.
LONGEST_SIDE = 1400
# Larger ones are not enlarged fourfold, only the place where a code seems to be.
SMALL_SIDE = 900
SEARCH_SIDE = 1280  # OpenCV's search for that place takes a second at twice the size
RECTIFIED_SIDE, QUIET_ZONE = 600, 80  # pixels; a version 10 code has 57 modules


@dataclass(frozen=True, slots=True)
class Code:
    """One decoded code; `x`, `y`: its centre as shares of the picture looked at.

    `is_sure`: of a kind that corrects errors, so that it is not read where there is none.
    """

    text: str
    x: float
    y: float
    is_sure: bool


def read_fast(image: Image | GreyImage) -> list[Code]:
    """One pass over a frame of the stream; the next frame is the second look."""
    return [code for code in _decode(_to_grey(image), BINARIZERS[0]) if code.is_sure]


def read_thoroughly(image: Image | GreyImage) -> list[Code]:
    """Every code of a still image, each text once; ends at the first look that shows any.

    A doubtful code must show itself in two different looks.
    """
    seen_before: set[str] = set()
    for look in _looks(_to_grey(image)):
        doubtful: set[str] = set()
        for binarizer in BINARIZERS:
            codes = _decode(look, binarizer)
            believed = [code for code in codes if code.is_sure or code.text in seen_before]
            if believed:
                return believed
            doubtful |= {code.text for code in codes}
        seen_before |= doubtful
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
    yield from _restored_looks(grey, double)


def _restored_looks(grey: Grey, double: Grey) -> Iterator[Grey]:
    """What is blurred over half a module and more, at the price of some tenths of a second."""
    if max(grey.shape) <= SMALL_SIDE:
        yield _sharpen(_scale(grey, 4), radius=6, strength=5)
        yield _restore(double, sigma=4)
    searched = _scale(grey, min(2, SEARCH_SIDE / max(grey.shape)))
    rectified = _rectify(_sharpen(searched, radius=3, strength=2))
    if rectified is not None:
        yield _sharpen(rectified, radius=6, strength=3)
        yield _restore(rectified, sigma=6)


def _to_grey(image: Image | GreyImage) -> Grey:
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _scale(grey: Grey, across: float, down: float | None = None) -> Grey:
    method = cv2.INTER_CUBIC if across > 1 else cv2.INTER_AREA
    height, width = grey.shape
    size = (max(1, round(width * across)), max(1, round(height * (down or across))))
    return cv2.resize(grey, size, interpolation=method)


def _sharpen(grey: Grey, *, radius: float, strength: float) -> Grey:
    """Unsharp mask."""
    blurred = cv2.GaussianBlur(grey, (0, 0), radius)
    return cv2.addWeighted(grey, 1 + strength, blurred, -strength, 0)


def _restore(grey: Grey, *, sigma: float, noise: float = 0.01) -> Grey:
    """Wiener's filter against a Gaussian blur; `noise`: power of the noise to that of the code."""
    height, width = grey.shape
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    blur = np.exp(-2 * (np.pi * sigma) ** 2 * (across**2 + down**2)).astype(np.float32)
    spectrum = np.fft.rfft2(grey.astype(np.float32)) * blur / (blur**2 + noise)
    restored = np.fft.irfft2(spectrum, s=(height, width))
    return np.asarray(np.clip(restored, 0, 255), dtype=np.uint8)


def _rectify(grey: Grey) -> Grey | None:
    """The place where OpenCV sees a code's three corners, as a square seen from the front."""
    is_found, corners = cv2.QRCodeDetector().detect(grey)
    if not is_found:
        return None
    near, far = QUIET_ZONE, RECTIFIED_SIDE - QUIET_ZONE
    square = np.array([[near, near], [far, near], [far, far], [near, far]], np.float32)
    transform = cv2.getPerspectiveTransform(corners[0].astype(np.float32), square)
    size = (RECTIFIED_SIDE, RECTIFIED_SIDE)
    return cv2.warpPerspective(grey, transform, size, flags=cv2.INTER_CUBIC, borderValue=(255.0,))


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
        code = Code(result.text, x, y, is_sure=result.format not in DOUBTFUL)
        found.setdefault(result.text, code)
    return list(found.values())
