"""What a camera showed before and after each alarm: two small pictures, kept at the box.

They are sealed to the server's key, as all that shows people here: whoever takes the box can't see
them. Small, for they say what happened to the camera; who did it is for the evidence ring. What no
clip may show is black in them, too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import structlog

from edge_agent.core.desk_zones import Point
from edge_agent.delivery.files import write_whole
from edge_agent.vision.frames import Frame
from edge_agent.vision.privacy import fill_masks
from event_protocol.events import CameraState
from event_protocol.sealing import seal_bytes

KEPT_ALARMS = 20  # of each camera; about half a megabyte
WIDTH = 320
JPEG_QUALITY = 70

_NAME = re.compile(r"(\d{8}T\d{6}\.\d{3}Z)-([a-z]+)-(before|after)\.sealed")
_TIME = "%Y%m%dT%H%M%S.%f"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FaultPicture:
    """One of a pair; `at` is the time of the alarm, to the millisecond."""

    at: datetime
    state: CameraState
    is_before: bool
    path: Path


class FaultPictures:
    """The pairs of one camera. For the camera's thread only."""

    def __init__(
        self,
        folder: Path,
        camera: str,
        sealing_key: Callable[[], bytes],
        masks: Sequence[Sequence[Point]] = (),
    ) -> None:
        self._folder = _folder_of(folder, camera)
        self._sealing_key = sealing_key
        self._masks = masks
        self._good: Frame | None = None

    def note_good(self, frame: Frame) -> None:
        """The camera shows what it should: this may become the picture before."""
        self._good = frame

    def keep(self, state: CameraState, at: datetime, after: Frame | None) -> None:
        """An alarm was raised at that time; there is no picture after if the camera is lost."""
        stem = at.astimezone(UTC).strftime(_TIME)[:-3] + f"Z-{state.value}"
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            for frame, when in ((self._good, "before"), (after, "after")):
                if frame is not None:
                    sealed = seal_bytes(_to_jpeg(frame, self._masks), self._sealing_key())
                    write_whole(self._folder / f"{stem}-{when}.sealed", sealed.encode())
            self._drop_oldest()
        except OSError as error:
            log.error("fault_pictures_not_saved", folder=self._folder.name, reason=error.strerror)

    def _drop_oldest(self) -> None:
        alarms = sorted({path.name.rsplit("-", 1)[0] for path in self._folder.glob("*.sealed")})
        for stem in alarms[:-KEPT_ALARMS]:
            for path in self._folder.glob(f"{stem}-*.sealed"):
                path.unlink(missing_ok=True)


def list_fault_pictures(folder: Path, camera: str) -> Iterator[FaultPicture]:
    """What is kept of that camera in the agent's folder, the oldest first.

    Each file holds a JPEG for `event_protocol.sealing.open_sealed`.
    """
    for path in sorted(_folder_of(folder, camera).glob("*.sealed")):
        match = _NAME.fullmatch(path.name)
        if match is not None and match[2] in set(CameraState):
            at = datetime.strptime(match[1][:-1], _TIME).replace(tzinfo=UTC)
            yield FaultPicture(at, CameraState(match[2]), match[3] == "before", path)


def _folder_of(folder: Path, camera: str) -> Path:
    return folder / f"faults-{camera}"


def _to_jpeg(frame: Frame, masks: Sequence[Sequence[Point]]) -> bytes:
    height, width = frame.image.shape[:2]
    size = (WIDTH, max(1, round(height * WIDTH / width)))
    small = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    fill_masks(small, masks)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return jpeg.tobytes()
