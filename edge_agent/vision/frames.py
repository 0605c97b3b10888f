"""What a camera gives, the small grey picture that is compared, and what can go wrong."""

import threading
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

Image = npt.NDArray[np.uint8]
"""Height × width × 3, blue-green-red, 0 to 255."""

GreyImage = npt.NDArray[np.uint8]
"""Height × width, brightness 0 (black) to 255 (white)."""

GreyPicture = npt.NDArray[np.float32]
"""Height × width, brightness 0 to 255."""

Mask = npt.NDArray[np.bool_]

FINE_WIDTH = 320  # pixels of what all comparisons begin with; a fifth of the work of 640
MAX_HEIGHT = 4 * FINE_WIDTH  # of a picture that no camera sends
WORKING_WIDTH = 256  # a head at the desk is still ten pixels wide, and noise is averaged away

# Their first plane is the grey picture. Video keeps black at 16 and white at 235 in it, unless it
# says that it uses the full range (PyAV's `color_range` 2, FFmpeg's old formats with a j).
PLANAR_FORMATS = {"yuv420p", "yuv422p", "yuv444p", "nv12"}
FULL_RANGE_FORMATS = {"yuvj420p", "yuvj422p", "yuvj444p", "gray"}
FULL_RANGE = 2
VIDEO_BLACK, VIDEO_SPAN = 16, 219


class Demand(Enum):
    """How much of a camera's stream is needed now."""

    CHANGES = "changes"
    """As `KEY_FRAMES`, but one that shows nothing new need not be shown."""
    KEY_FRAMES = "key frames"
    """About one picture a second, the cheapest to be had."""
    ALL_FRAMES = "all frames"
    """As many as a live camera is ever looked at."""


class Frame:
    """One picture and the UTC time at which it was taken. May be shared by threads.

    `picture` is an `Image`, or what a decoder gave: it is then converted only when and as asked
    for, because most frames are needed small and in grey alone, and many not at all.
    """

    __slots__ = ("_fine", "_grey", "_image", "_lock", "_picture", "before", "captured_at", "width")

    def __init__(self, picture: Image | VideoFrame, captured_at: datetime) -> None:
        self.captured_at = captured_at
        self.before: Frame | None = None
        """An earlier one that was passed over at first and is to be seen before this."""
        self._picture = picture
        self._image: Image | None = None
        self._grey: GreyImage | None = None
        self._fine: GreyImage | None = None
        self.width = _upright_width(picture)
        self._lock = threading.Lock()  # a decoded picture has one converter

    @property
    def image(self) -> Image:
        """The picture in colour, upright."""
        if not isinstance(self._picture, VideoFrame):
            return self._picture
        with self._lock:
            if self._image is None:
                colour = np.asarray(self._picture.to_ndarray(format="bgr24"), dtype=np.uint8)
                self._image = _upright(colour, self._picture)
            return self._image

    @property
    def grey(self) -> GreyImage:
        """The picture in grey, upright; a third of the price of one in colour."""
        if self._grey is None:
            luma, is_full_range = self._luma()
            self._grey = luma if is_full_range else _stretch(luma)
        return self._grey

    @property
    def fine(self) -> GreyImage:
        """`grey` at `FINE_WIDTH`; cheaper, for most pixels are left out before anything else."""
        if self._fine is None:
            luma, is_full_range = self._luma()
            small = to_fine(luma)
            self._fine = small if is_full_range else _stretch(small)
        return self._fine

    def _luma(self) -> tuple[GreyImage, bool]:
        """Brightness, upright, and whether it goes from 0 to 255."""
        if self._grey is not None:
            return self._grey, True
        picture = self._picture
        if isinstance(picture, VideoFrame) and self._image is None:
            kind, first = picture.format.name, picture.planes[0]
            if kind in PLANAR_FORMATS | FULL_RANGE_FORMATS:
                rows = np.frombuffer(memoryview(first), np.uint8).reshape(-1, first.line_size)
                luma = rows[: picture.height, : picture.width]
                is_full = kind in FULL_RANGE_FORMATS or picture.color_range == FULL_RANGE
                return _upright(luma, picture), is_full
        return np.asarray(cv2.cvtColor(self.image, cv2.COLOR_BGR2GRAY), dtype=np.uint8), True


class SourceError(Exception):
    """A camera or file gives no pictures; the message says which and why, for people."""


class FrameSource(Protocol):
    """Where frames come from."""

    demand: Demand
    """Set by the consumer at any time; the source follows as soon as it can."""

    @property
    def is_recording(self) -> bool:
        """It has an end; anything else is opened again when it fails."""
        ...

    @property
    def keeps_all(self) -> bool:
        """Every frame matters; otherwise only the newest does."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Open it and yield its frames; raises `SourceError`. May block: call it in a thread."""
        ...


def to_fine(grey: GreyImage) -> GreyImage:
    """A grey frame brought to `FINE_WIDTH`; the aspect ratio is kept."""
    height, width = grey.shape
    size = (FINE_WIDTH, min(MAX_HEIGHT, max(2, round(height * FINE_WIDTH / width))))
    way = cv2.INTER_AREA if width > FINE_WIDTH else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, size, interpolation=way), dtype=np.uint8)


def to_working_picture(image: Image | GreyImage) -> GreyPicture:
    """The image in grey, at most `WORKING_WIDTH` wide, its finest noise smoothed away."""
    height, width = image.shape[:2]
    grey: Any = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if width > WORKING_WIDTH:
        # By a whole number first: OpenCV's mean over parts of pixels takes ten times as long.
        times = width // WORKING_WIDTH
        if times > 1:
            whole = grey[: height // times * times or height, : width // times * times]
            size = (width // times, max(1, height // times))
            grey = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
        size = (WORKING_WIDTH, max(1, round(height * WORKING_WIDTH / width)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR)
    smooth: GreyPicture = cv2.GaussianBlur(grey, (5, 5), 0).astype(np.float32)
    return smooth


def _stretch(grey: GreyImage) -> GreyImage:
    """Video's range of brightness to the whole of it."""
    above_black = cv2.subtract(grey, VIDEO_BLACK)  # type: ignore[call-overload]  # takes a scalar
    return np.asarray(cv2.convertScaleAbs(above_black, alpha=255 / VIDEO_SPAN), dtype=np.uint8)


def _turns(picture: VideoFrame) -> int:
    return round(picture.rotation / 90) % 4


def _upright_width(picture: Image | VideoFrame) -> int:
    if not isinstance(picture, VideoFrame):
        return int(picture.shape[1])
    return picture.height if _turns(picture) % 2 else picture.width


def _upright(image: Image, picture: VideoFrame) -> Image:
    """As players show it: a phone held upright stores its picture lying down."""
    turns = _turns(picture)
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
