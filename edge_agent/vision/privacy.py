"""Takes out of pictures what nobody may see: marked areas, and faces where any are found."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import cv2
import numpy as np

from edge_agent.core.confirmation import Box
from edge_agent.core.desk_zones import Point
from edge_agent.vision.face_detector import FaceDetector, load_face_detector
from edge_agent.vision.frames import Image

# One look costs 100 ms on a slow core. A head at a desk moves less than its own width meanwhile.
LOOK_EVERY = timedelta(milliseconds=300)
# What one look finds came at any time since the look before it, which may have missed it, too; and
# two or three that find nothing do not mean that it is gone.
COVER_BEFORE = timedelta(milliseconds=600)
COVER_FOR = timedelta(milliseconds=1200)
_MARGIN = 0.3  # hair and chin, and the way to the next look
_BLOCKS = 6  # across a face: eyes, nose and mouth are one
_PAUSE_COLOUR = (64, 64, 64)
_TEXT_COLOUR = (200, 200, 200)


class Privacy:
    """For one clip: masks (polygons in shares of the picture) filled, faces made unknowable.

    `face_detector`: what `load_face_detector` gave, or `None`.
    """

    def __init__(
        self, masks: Sequence[Sequence[Point]], face_detector: FaceDetector | None
    ) -> None:
        self._masks = masks
        self._detector = face_detector
        self._looked_at: datetime | None = None
        self._faces: list[tuple[datetime, Box]] = []

    def hide(self, pictures: Iterable[tuple[Image, datetime]]) -> Iterator[tuple[Image, datetime]]:
        """Copies fit to be shown; each waits until it is known what shows itself just after."""
        waiting: deque[tuple[Image, datetime]] = deque()
        for image, at in pictures:
            waiting.append((image, at))
            if self._detector is not None:
                self._look(self._detector, image, at)
            while waiting and (self._detector is None or at - waiting[0][1] >= COVER_BEFORE):
                yield self._retouch(*waiting.popleft())
        for image, at in waiting:
            yield self._retouch(image, at)

    def _look(self, detector: FaceDetector, image: Image, at: datetime) -> None:
        if self._looked_at is not None and abs(at - self._looked_at) < LOOK_EVERY:
            return
        self._looked_at = at
        forgotten = at - COVER_FOR - COVER_BEFORE
        self._faces = [(seen, box) for seen, box in self._faces if seen > forgotten]
        self._faces += [(at, box) for box in detector.find(image)]

    def _retouch(self, image: Image, at: datetime) -> tuple[Image, datetime]:
        shown = image.copy()
        for seen, box in self._faces:
            if -COVER_BEFORE <= at - seen < COVER_FOR:
                _blur(shown, box)
        fill_masks(shown, self._masks)
        return shown, at

    def draw_pause(self, width: int, height: int, begin: datetime, end: datetime) -> Image:
        """A grey picture that names the span of which there are no pictures."""
        image: Image = np.full((height, width, 3), _PAUSE_COLOUR, np.uint8)
        text = f"-- {begin:%H:%M:%S} - {end:%H:%M:%S} UTC --"
        scale = width / 640
        (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        place = ((width - wide) // 2, (height + high) // 2)
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _TEXT_COLOUR, 1)
        return image


def fill_masks(image: Image, masks: Iterable[Sequence[Point]]) -> None:
    """Make these areas (polygons in shares of the picture) black in it."""
    height, width = image.shape[:2]
    for mask in masks:
        corners = np.rint(np.array(mask) * (width, height)).astype(np.int32)
        cv2.fillPoly(image, [corners], (0, 0, 0))


def hide_faces(png: bytes) -> bytes:
    """A grey picture to be kept in clear, with the faces found in it made unknowable.

    What a camera is meant to show is learned from its first seconds, whoever sits there then.
    """
    detector = load_face_detector()
    if detector is None:
        return png
    image = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    faces = detector.find(image)
    for box in faces:
        _blur(image, box)
    return cv2.imencode(".png", image[:, :, 0])[1].tobytes() if faces else png


def _blur(image: Image, box: Box) -> None:
    """Too few blocks to know anybody by, drawn softly; what was there is not in the picture."""
    height, width = image.shape[:2]
    across, down = _MARGIN * (box.right - box.left), _MARGIN * (box.bottom - box.top)
    left, right = int((box.left - across) * width), int((box.right + across) * width)
    top, bottom = int((box.top - down) * height), int((box.bottom + down) * height)
    area = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    if area.size == 0:
        return
    size = (area.shape[1], area.shape[0])
    blocks = cv2.resize(area, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
    area[:] = cv2.resize(blocks, size, interpolation=cv2.INTER_LINEAR)
