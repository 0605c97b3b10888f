"""Bytes that no camera or recorder ought to send: nothing crashes, hangs or fills the memory.

What is tried is the same on every run: films of each kind, cut off, with bits turned over, pieces
taken out, put in or filled with nothing. Any of them may hold pictures; else `SourceError` says so.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import av
import pytest
from av.video.stream import VideoStream

from edge_agent.vision import scene
from edge_agent.vision.frames import FrameSource, SourceError, to_working_picture
from edge_agent.vision.sources import StreamSource
from edge_agent.vision.video_file import VideoFile
from tests.edge_agent.damage import damage
from tests.edge_agent.vision.ring import Ring

START = datetime(2030, 1, 1, tzinfo=UTC)
PICTURES, WIDTH, HEIGHT = 20, 320, 180
FILES_A_KIND, STREAMS_A_KIND = 50, 12

# By the kind's name: container, codec, and what the camera's answer calls it.
KINDS = {
    "mp4": ("mp4", "libx264", "video/mp4"),
    "mkv": ("matroska", "libx264", "video/x-matroska"),
    "ts": ("mpegts", "libx264", "video/mp2t"),
    "hevc": ("mpegts", "libx265", "video/mp2t"),
    "mjpeg": ("mpjpeg", "mjpeg", "multipart/x-mixed-replace;boundary=ffmpeg"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A whole film of each kind."""
    folder = tmp_path_factory.mktemp("films")
    return {kind: record(folder / kind, *KINDS[kind][:2]) for kind in KINDS}


def record(path: Path, container_name: str, codec: str) -> bytes:
    options = {"preset": "ultrafast", "g": "5", "x265-params": "log-level=none:keyint=5"}
    with av.open(str(path), "w", format=container_name) as container:
        used = {} if codec == "mjpeg" else options
        stream = container.add_stream(codec, rate=10, options=used)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(PICTURES):
            picture = av.VideoFrame.from_ndarray(scene.draw(1, number / 10), format="bgr24")
            container.mux(stream.encode(picture.reformat(WIDTH, HEIGHT)))
        container.mux(stream.encode(None))
    return path.read_bytes()


def look_at(source: FrameSource) -> int:
    """How many pictures it gives; more than were put in would be one without end."""
    seen = 0
    with suppress(SourceError):
        for frame in source.frames():
            assert to_working_picture(frame.grey).size > 0
            assert frame.image.shape == (*frame.grey.shape, 3)
            seen += 1
            assert seen <= 3 * PICTURES
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_as_far_as_it_goes_or_refused(
    kind: str, films: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "film"
    path.write_bytes(films[kind])
    assert look_at(VideoFile(path, START)) == PICTURES
    seen = []
    for damaged in damage(films[kind], kind, FILES_A_KIND):
        path.write_bytes(damaged)
        ring = Ring()
        seen.append(look_at(VideoFile(path, START, sink=ring)))
        assert ring.ends == len(ring.formats)
    assert sum(count > 0 for count in seen) > FILES_A_KIND / 4


@pytest.fixture
def camera() -> Iterator["HttpCamera"]:
    with HttpCamera() as camera:
        yield camera


class HttpCamera(ThreadingHTTPServer):
    """Answers every request with `content`, then hangs up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.kind, self.content = "video/mp2t", b""
        self.url = f"http://127.0.0.1:{self.server_port}/video"

    def __enter__(self) -> "HttpCamera":
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: HttpCamera

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", self.server.kind)
        self.end_headers()
        try:
            self.wfile.write(self.server.content)
        except OSError:
            self.close_connection = True  # the agent has seen enough

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_stream_ends_or_is_refused(
    kind: str, films: dict[str, bytes], camera: HttpCamera
) -> None:
    camera.kind, camera.content = KINDS[kind][2], films[kind]
    assert look_at(StreamSource(camera.url, lambda: START)) >= 1
    for damaged in damage(films[kind], f"stream {kind}", STREAMS_A_KIND):
        camera.content = damaged
        ring = Ring()
        look_at(StreamSource(camera.url, lambda: START, sink=ring))
        assert ring.ends == len(ring.formats)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100_000, b"HTTP/1.1 200 OK\r\n\r\n" * 500, b"--ffmpeg\r\n" * 5000]
)
def test_what_is_no_stream_is_refused(content: bytes, camera: HttpCamera) -> None:
    camera.kind, camera.content = KINDS["mjpeg"][2], content
    with pytest.raises(SourceError):
        list(StreamSource(camera.url, lambda: START).frames())
