"""A real RTSP camera on a loopback port: GStreamer's server plays a recording round and round.

Its Python binding belongs to the system's Python (Debian: `gir1.2-gst-rtsp-server-1.0`,
`gstreamer1.0-plugins-good`, `-bad`), so it runs as a program of its own.
"""

from pathlib import Path
from typing import Self

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
port, path, mount = sys.argv[1:4]
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_launch(
    f'( filesrc location="{path}" ! qtdemux ! h264parse config-interval=-1 '
    "! rtph264pay name=pay0 pt=96 )"
)
factory.set_shared(True)
server.get_mount_points().add_factory("/" + mount, factory)
if not server.attach(None):
    sys.exit(f"port {port} is taken")
GLib.MainLoop().run()
"""


class RtspServer(Program):
    """Serves an H.264 recording (MP4) from its beginning; may be killed and restarted."""

    def __init__(self, folder: Path, recording: Path) -> None:
        self.port = free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/desk"
        arguments: list[str | Path] = [
            SYSTEM_PYTHON,
            "-c",
            _SERVER,
            str(self.port),
            recording,
            "desk",
        ]
        super().__init__(arguments, folder / "rtsp_server.log")

    def start(self) -> Self:
        """Start (again) and return once it takes connections."""
        super().start()
        wait_until(lambda: is_listening(self.port) or not self.is_running, 15, "RTSP listens")
        assert self.is_running, self.output
        return self
