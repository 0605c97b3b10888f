"""Takes out of pictures what nobody may see: areas that were marked, and faces where it finds any.

Detects *that* there is a face, to make it unknowable; nothing is compared or kept.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_agent.core.desk_zones import Point
from edge_agent.vision.frames import Image

# One look costs 100 ms on a slow core. A head at a desk moves less than its own width meanwhile,
# and a face that is missed in one look, or in two, is still covered from the last.
LOOK_EVERY = timedelta(milliseconds=300)
COVER_FOR = timedelta(milliseconds=1200)
_DETECTION_WIDTH = 640
_SMALLEST_FACE = 20  # pixels of the detection's picture: smaller ones can't be told by anybody
_MARGIN = 0.3  # hair and chin, and the way to the next look
_BLOCKS = 6  # across a face: eyes, nose and mouth are one
_PAUSE_COLOUR = (64, 64, 64)
_TEXT_COLOUR = (200, 200, 200)

_Box = tuple[int, int, int, int]


class DetectorError(Exception):
    """The detector's file can't be used; says why."""


def load_face_detector(file: Path | None = None) -> Any:
    """OpenCV's cascade classifier from `file`, else the one that comes with OpenCV.

    `None` if OpenCV comes with none (5 and later) and no file is named. Raises `DetectorError`.
    """
    if file is None:
        folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
        file = None if folder is None else Path(folder) / "haarcascade_frontalface_default.xml"
        if file is None or not file.exists() or not hasattr(cv2, "CascadeClassifier"):
            return None
    try:
        detector = cv2.CascadeClassifier(str(file))
    except (cv2.error, AttributeError, SystemError) as error:  # the last: its binding's own slip
        raise DetectorError(f"{file}: {error}") from error
    if detector.empty():
        raise DetectorError(f"{file}: holds no face detector that OpenCV can read")
    return detector


class Privacy:
    """For one clip: masks (polygons in shares of the picture) filled, faces made unknowable.

    `face_detector`: what `load_face_detector` gave, or `None`.
    """

    def __init__(self, masks: Sequence[Sequence[Point]], face_detector: Any) -> None:
        self._masks = masks
        self._detector = face_detector
        self._looked_at: datetime | None = None
        self._faces: list[tuple[datetime, _Box]] = []

    def hide(self, image: Image, at: datetime) -> Image:
        """A copy fit to be shown."""
        shown = image.copy()
        if self._detector is not None:
            if self._looked_at is None or abs(at - self._looked_at) >= LOOK_EVERY:
                self._look(self._detector, image, at)
            for _, box in self._faces:
                _blur(shown, box)
        height, width = image.shape[:2]
        for mask in self._masks:
            corners = np.rint(np.array(mask) * (width, height)).astype(np.int32)
            cv2.fillPoly(shown, [corners], (0, 0, 0))
        return shown

    def draw_pause(self, width: int, height: int, begin: datetime, end: datetime) -> Image:
        """A grey picture that names the span of which there are no pictures."""
        image: Image = np.full((height, width, 3), _PAUSE_COLOUR, np.uint8)
        text = f"-- {begin:%H:%M:%S} - {end:%H:%M:%S} UTC --"
        scale = width / 640
        (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        place = ((width - wide) // 2, (height + high) // 2)
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _TEXT_COLOUR, 1)
        return image

    def _look(self, detector: Any, image: Image, at: datetime) -> None:
        self._looked_at = at
        scale = min(1.0, _DETECTION_WIDTH / image.shape[1])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        found = detector.detectMultiScale(
            grey, scaleFactor=1.1, minNeighbors=3, minSize=(_SMALLEST_FACE, _SMALLEST_FACE)
        )
        self._faces = [(seen, box) for seen, box in self._faces if abs(at - seen) < COVER_FOR]
        self._faces += [(at, _widened(box, scale)) for box in found]


def _widened(box: Sequence[int], scale: float) -> _Box:
    """With its margin, in pixels of the whole picture."""
    left, top, width, height = (value / scale for value in box)
    return (
        int(left - _MARGIN * width),
        int(top - _MARGIN * height),
        int(left + (1 + _MARGIN) * width),
        int(top + (1 + _MARGIN) * height),
    )


def _blur(image: Image, box: _Box) -> None:
    """Too few blocks to know anybody by, drawn softly; what was there is not in the picture."""
    left, top, right, bottom = box
    height, width = image.shape[:2]
    area = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    if area.size == 0:
        return
    size = (area.shape[1], area.shape[0])
    blocks = cv2.resize(area, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
    area[:] = cv2.resize(blocks, size, interpolation=cv2.INTER_LINEAR)
