"""Finds *that* there are faces: to make them unknowable in clips, and as a sign of somebody's
presence. Nothing is compared or kept, so that nobody is ever known again.

Method: P. Viola and M. Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features"
(2001), as `cv2.CascadeClassifier`, with the frontal cascade that OpenCV brings.
"""

from pathlib import Path
from typing import Any

import cv2

from edge_agent.core.confirmation import Box
from edge_agent.vision.frames import Image

_DETECTION_WIDTH = 640
_SMALLEST_FACE = 20  # pixels of the detection's picture: smaller ones can't be told by anybody
_SCALE_STEP = 1.1
_MIN_NEIGHBOURS = 3


class DetectorError(Exception):
    """A detector's file can't be used, or not any more; says why."""


class FaceDetector:
    """OpenCV's cascade classifier. For one thread: it keeps its pyramid of the picture."""

    def __init__(self, cascade: Any) -> None:
        self._cascade = cascade

    def find(self, image: Image) -> list[Box]:
        """The faces that look into the camera; about 100 ms on a slow core."""
        scale = min(1.0, _DETECTION_WIDTH / image.shape[1])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        found = self._cascade.detectMultiScale(
            grey,
            scaleFactor=_SCALE_STEP,
            minNeighbors=_MIN_NEIGHBOURS,
            minSize=(_SMALLEST_FACE, _SMALLEST_FACE),
        )
        rows, columns = grey.shape
        return [
            Box(x / columns, y / rows, (x + wide) / columns, (y + high) / rows)
            for x, y, wide, high in found
        ]


def load_face_detector(file: Path | None = None) -> FaceDetector | None:
    """The detector of `file`, else the one that comes with OpenCV.

    `None` if OpenCV comes with none (5 and later) and no file is named. Raises `DetectorError`.
    """
    if file is None:
        folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
        file = None if folder is None else Path(folder) / "haarcascade_frontalface_default.xml"
        if file is None or not file.exists() or not hasattr(cv2, "CascadeClassifier"):
            return None
    try:
        cascade = cv2.CascadeClassifier(str(file))
    except (cv2.error, AttributeError, SystemError) as error:  # the last: its binding's own slip
        raise DetectorError(f"{file}: {error}") from error
    if cascade.empty():
        raise DetectorError(f"{file}: holds no face detector that OpenCV can read")
    return FaceDetector(cascade)
