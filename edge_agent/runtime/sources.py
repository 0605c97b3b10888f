"""Which kind of camera a setting names, and what it sees before anybody has drawn zones."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from edge_agent.core.desk_zones import Zone
from edge_agent.core.packets import PacketSink
from edge_agent.settings import CameraSettings, DeskSettings
from edge_agent.vision import scene
from edge_agent.vision.frames import FrameSource
from edge_agent.vision.sources import open_source
from edge_agent.vision.video_file import VideoFile


def make_source(
    settings: CameraSettings, now: Callable[[], datetime], sink: PacketSink | None = None
) -> FrameSource:
    """The source, not opened yet; a recording's first frame is taken to be of now.

    `sink` takes its packets as they come. Raises `SourceError` if the setting means nothing.
    """
    if settings.is_file:
        return VideoFile(Path(settings.source), now(), paced=settings.paced, sink=sink)
    return open_source(settings.source, now, sink=sink)


def read_zones(camera: CameraSettings, view: DeskSettings) -> tuple[Zone, ...]:
    """The desk's zones, the drawn scene's own if none are set; `ZonesError` or `OSError`."""
    return view.read_zones() or (scene.ZONES if camera.is_scene else ())


def empty_seconds(camera: CameraSettings) -> tuple[float, float] | None:
    """Seconds after the start in which every zone is known to be empty."""
    return camera.empty or ((0.0, scene.EMPTY_S) if camera.is_scene else None)
