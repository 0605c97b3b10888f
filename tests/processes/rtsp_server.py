"""A real RTSP camera on a loopback port: GStreamer's server plays a recording round and round.

Its Python binding belongs to the system's Python (Debian: `gir1.2-gst-rtsp-server-1.0`,
`gstreamer1.0-plugins-good`, `-bad`), so it runs as a program of its own.
"""

from pathlib import Path
from typing import Self

import av

from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program

SYSTEM_PYTHON = "/usr/bin/python3"

# Packets are copied, not re-encoded: a looping test stream costs next to nothing.
_SERVER = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
for camera in sys.argv[2:]:
    mount, path, way = camera.split("|")
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(f'( filesrc location="{path}" ! {way} name=pay0 pt=96 )')
    factory.set_shared(True)
    server.get_mount_points().add_factory("/" + mount, factory)
if not server.attach(None):
    sys.exit(f"port {sys.argv[1]} is taken")
GLib.MainLoop().run()
"""


_DEMUXERS = {".mp4": "qtdemux", ".ts": "tsdemux", ".mkv": "matroskademux"}
_PAYLOADERS = {
    "h264": "h264parse config-interval=-1 ! rtph264pay",
    "hevc": "h265parse config-interval=-1 ! rtph265pay",
}


class RtspServer(Program):
    """Serves recordings (MP4, TS, Matroska), each from its beginning; may be killed and restarted.

    The first is the camera `desk`, further ones have the names they are given.
    """

    def __init__(self, folder: Path, recording: Path, **more: Path) -> None:
        self.port = free_port()
        self.url = self.url_of("desk")
        cameras = {"desk": recording, **more}
        arguments: list[str | Path] = [SYSTEM_PYTHON, "-c", _SERVER, str(self.port)]
        arguments += [f"{name}|{path}|{_way_of(path)}" for name, path in cameras.items()]
        super().__init__(arguments, folder / "rtsp_server.log")

    def url_of(self, camera: str, port: int | None = None) -> str:
        """Where that camera is; `port`: of somebody who passes on to us."""
        return f"rtsp://127.0.0.1:{port or self.port}/{camera}"

    def start(self) -> Self:
        """Start (again) and return once it takes connections."""
        super().start()
        wait_until(lambda: is_listening(self.port) or not self.is_running, 15, "RTSP listens")
        assert self.is_running, self.output
        return self


def _way_of(recording: Path) -> str:
    with av.open(str(recording)) as container:
        codec = container.streams.video[0].codec_context.name
    return f"{_DEMUXERS[recording.suffix]} ! {_PAYLOADERS[codec]}"
