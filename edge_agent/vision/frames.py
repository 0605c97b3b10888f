"""What a camera gives, the small grey picture that is compared, and what can go wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""Height × width × 3, blue-green-red, 0 to 255."""

GreyPicture = npt.NDArray[np.float32]
"""Height × width, brightness 0 to 255."""

Mask = npt.NDArray[np.bool_]

WORKING_WIDTH = 256  # a head at the desk is still ten pixels wide, and noise is averaged away


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and the UTC time at which it was taken."""

    image: Image
    captured_at: datetime


class SourceError(Exception):
    """A camera or file gives no pictures; the message says which and why, for people."""


class FrameSource(Protocol):
    """Where frames come from."""

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


def to_working_picture(image: Image) -> GreyPicture:
    """The image in grey, at most `WORKING_WIDTH` wide, its finest noise smoothed away."""
    height, width = image.shape[:2]
    grey: Any = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if width > WORKING_WIDTH:
        size = (WORKING_WIDTH, max(1, round(height * WORKING_WIDTH / width)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    smooth: GreyPicture = cv2.GaussianBlur(grey, (5, 5), 0).astype(np.float32)
    return smooth


def edge_strength(picture: npt.NDArray[np.float32]) -> GreyPicture:
    """Length of the brightness gradient by Sobel's operator; 8 is one grey level per pixel."""
    across = cv2.Sobel(picture, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(picture, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(across, down), dtype=np.float32)
