"""What of a camera outlives a restart besides the trackers' state: two pictures of the room."""

from datetime import datetime, timedelta
from pathlib import Path

import structlog

from edge_agent.delivery.files import write_whole
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision.privacy import hide_faces

SAVE_VIEW_EVERY = timedelta(hours=1)
SAVE_NEW_VIEW_AFTER = timedelta(seconds=10)  # by then a view that nobody calibrated is learned

log = structlog.get_logger(__name__)


class CameraMemory:
    """The empty reference of the zones, and the view that the camera is meant to show.

    For the camera's thread, which holds the pipeline's lock.
    """

    def __init__(self, folder: Path, camera: str, pipeline: DeskPipeline) -> None:
        self._pipeline = pipeline
        self._camera = camera
        self._reference_file = folder / f"reference-{camera}.png"
        self._view_file = folder / f"view-{camera}.png"
        self._reference_due: datetime | None = None
        self._saved_looks = pipeline.new_looks
        self._view_due: datetime | None = None

    def restore(self) -> None:
        """Go on with what was saved; raises `OSError`, or `CalibrationError` if it is damaged."""
        if self._reference_file.exists():
            self._pipeline.import_reference(self._reference_file.read_bytes())
        if self._view_file.exists():
            self._pipeline.import_view(self._view_file.read_bytes())

    def expect_reference(self, at: datetime) -> None:
        """A calibration will be over then."""
        self._reference_due = self._view_due = at

    def save_when_due(self, at: datetime) -> None:
        """Call it with each frame's time."""
        is_due = self._reference_due is not None and at >= self._reference_due
        if is_due or self._pipeline.new_looks != self._saved_looks:
            self._reference_due = None if is_due else self._reference_due
            self._saved_looks = self._pipeline.new_looks
            self._save(self._reference_file, self._pipeline.export_reference())
        if self._view_due is None or self._view_due - at > SAVE_VIEW_EVERY:
            self._view_due = at + SAVE_NEW_VIEW_AFTER
        elif at >= self._view_due:
            self._view_due = at + SAVE_VIEW_EVERY
            self._save(self._view_file, self._pipeline.export_view())
            # It followed the daylight in the meantime.
            self._save(self._reference_file, self._pipeline.export_reference())

    def _save(self, path: Path, picture: bytes | None) -> None:
        if picture is None:
            return
        try:
            write_whole(path, hide_faces(picture))
        except OSError as error:
            log.error("reference_not_saved", camera=self._camera, reason=error.strerror)
