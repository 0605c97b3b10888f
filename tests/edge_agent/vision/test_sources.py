"""What a setting means; a real RTSP camera on loopback that is killed and comes back."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from edge_agent.vision.camera import Camera, SignalLost
from edge_agent.vision.frames import Demand, Frame, SourceError
from edge_agent.vision.scene import SceneCamera
from edge_agent.vision.sources import (
    MAX_FPS,
    NETWORK_TIMEOUT_S,
    StreamSource,
    UsbCamera,
    open_source,
    without_password,
)
from edge_agent.vision.stage_times import StageTimes
from edge_agent.vision.video_file import VideoFile
from tests.edge_agent.vision.ring import Ring
from tests.processes.ports import free_port, wait_until
from tests.processes.rtsp_server import RtspServer


def now() -> datetime:
    return datetime.fromtimestamp(time.monotonic(), UTC)


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("rtsp://camera/stream", StreamSource),
        ("RTSPS://camera/stream", StreamSource),
        ("http://camera/video.mjpg", StreamSource),
        ("https://camera/live.m3u8", StreamSource),
        ("usb:1", UsbCamera),
        ("0", UsbCamera),
        ("scene:7", SceneCamera),
        ("recordings/desk.mp4", VideoFile),
    ],
)
def test_a_setting_names_its_kind_of_source(setting: str, kind: type) -> None:
    source = open_source(setting, now)
    assert isinstance(source, kind)
    assert source.is_recording is (kind is VideoFile)
    assert source.keeps_all is False


@pytest.mark.parametrize("setting", ["usb:one", "scene:", "ftp://camera/x", "v4l2:/dev/video0"])
def test_a_setting_that_means_nothing_is_refused(setting: str) -> None:
    with pytest.raises(SourceError, match="neither a stream, usb:N, scene:SEED nor a file"):
        open_source(setting, now)


def test_an_absent_usb_camera_is_named() -> None:
    with pytest.raises(SourceError, match="usb:97: no such camera"):
        next(UsbCamera(97, now).frames())


def test_of_a_usb_camera_only_the_pictures_that_are_wanted_are_decoded(testdata: Path) -> None:
    """OpenCV reads a film by the same calls, and faster than it plays."""
    times, ring = StageTimes(), Ring()
    source = UsbCamera(str(testdata / "video" / "asl_help.mkv"), now, times, ring)
    seen: list[Frame] = []
    with pytest.raises(SourceError, match="unplugged or failed"):
        seen.extend(source.frames())
    assert seen[0].image.shape == (480, 640, 3)
    assert len(seen) == times.runs["decode"] < 20
    assert (len(ring.formats), ring.ends) == (1, 1), "and these are recorded"
    assert 0 < len(ring.packets) <= len(seen)


def test_an_address_is_logged_without_its_password() -> None:
    assert without_password("rtsp://admin:secret@10.0.0.5/s") == "rtsp://…@10.0.0.5/s"
    assert without_password("rtsp://10.0.0.5/s@2") == "rtsp://10.0.0.5/s@2"


def test_a_stream_that_refuses_is_named_without_its_password() -> None:
    url = f"rtsp://admin:secret@127.0.0.1:{free_port()}/desk"
    with pytest.raises(SourceError, match=r"rtsp://…@127\.0\.0\.1") as caught:
        next(StreamSource(url, now).frames())
    assert "secret" not in str(caught.value)


@pytest.fixture
def server(testdata: Path, tmp_path: Path) -> Iterator[RtspServer]:
    with RtspServer(tmp_path, testdata / "video" / "desk_one_by_one_a.mp4") as server:
        yield server


def wait_for(camera: Camera, kind: type, timeout_s: float) -> object:
    """The next news of that kind."""
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        news = camera.next(0.5)
        if isinstance(news, kind):
            return news
    raise AssertionError(f"no {kind.__name__} in {timeout_s} s")


@pytest.mark.processes
def test_an_rtsp_camera_that_dies_is_lost_and_seen_again_when_it_is_back(
    server: RtspServer,
) -> None:
    times = StageTimes()
    source = StreamSource(server.url, now, times)
    camera = Camera(source, now, stall_s=2, first_retry_s=0.3)
    try:
        first = wait_for(camera, Frame, 20)
        assert isinstance(first, Frame)
        assert first.image.shape == (432, 768, 3)
        seen = count_frames(camera, 2.0)
        assert 8 <= seen <= 2 * MAX_FPS[Demand.ALL_FRAMES] + 3
        assert times.milliseconds()["decode"] > 0

        server.kill()
        lost = wait_for(camera, SignalLost, 15)
        assert isinstance(lost, SignalLost)
        assert lost.since >= first.captured_at

        server.start()
        again = wait_for(camera, Frame, 30)
        assert isinstance(again, Frame)
        assert again.captured_at > lost.at
    finally:
        camera.close()


@pytest.mark.processes
def test_an_rtsp_camera_that_hangs_is_lost_and_seen_again_when_it_wakes(server: RtspServer) -> None:
    """It keeps its connection and says nothing more, as a camera whose firmware is stuck."""
    camera = Camera(StreamSource(server.url, now), now, stall_s=1.5, first_retry_s=0.3)
    try:
        last = wait_for(camera, Frame, 20)
        os.kill(server.pid, signal.SIGSTOP)
        lost = wait_for(camera, SignalLost, 10)
        assert isinstance(last, Frame)
        assert isinstance(lost, SignalLost)
        assert lost.since >= last.captured_at
        assert lost.reason == "the camera sends no picture"
        os.kill(server.pid, signal.SIGCONT)
        assert isinstance(wait_for(camera, Frame, 30), Frame)
    finally:
        os.kill(server.pid, signal.SIGCONT)
        camera.close()


def open_connections(port: int) -> int:
    """This process's connections to that port."""
    connections = psutil.Process().net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr.port == port for one in connections)


def camera_threads() -> int:
    return sum(thread.name == "camera" for thread in threading.enumerate())


@pytest.mark.processes
def test_a_read_that_hangs_is_ended_with_its_thread_and_its_connection(server: RtspServer) -> None:
    """The watchdog gives it up at once; FFmpeg's own time limit then ends what was left behind."""
    camera = Camera(StreamSource(server.url, now), now, stall_s=1, first_retry_s=60)
    try:
        wait_for(camera, Frame, 20)
        assert (camera_threads(), open_connections(server.port)) == (1, 1)
        os.kill(server.pid, signal.SIGSTOP)
        wait_for(camera, SignalLost, 5)
        assert (camera_threads(), open_connections(server.port)) == (1, 1), "it hangs"
        gone = NETWORK_TIMEOUT_S[1] + 3
        wait_until(lambda: camera_threads() == 0, gone, "the thread has ended")
        wait_until(lambda: open_connections(server.port) == 0, 1, "and let the connection go")
    finally:
        os.kill(server.pid, signal.SIGCONT)
        camera.close()


@pytest.mark.processes
def test_key_frames_alone_are_taken_of_a_stream_while_its_sink_gets_all(server: RtspServer) -> None:
    ring = Ring()
    source = StreamSource(server.url, now, sink=ring)
    source.demand = Demand.KEY_FRAMES
    camera = Camera(source, now)
    try:
        wait_for(camera, Frame, 20)
        count_frames(camera, 2.5)  # the distance of key frames is found out
        before = len(ring.packets)
        seen = count_frames(camera, 4.0)
        assert 3 <= seen <= 6
        assert 30 <= len(ring.packets) - before <= 50, "ten a second"
        camera.ask_for(Demand.ALL_FRAMES)
        assert count_frames(camera, 2.0) >= 12
    finally:
        camera.close()
    wait_until(lambda: ring.ends == 1, 3, "the sink is told of the end")
    assert [stream.codec for stream in ring.formats] == ["h264"]
    assert (ring.formats[0].width, ring.formats[0].height) == (768, 432)
    times = [packet.captured_at for packet in ring.packets]
    assert times == sorted(times)
    steps = [(b - a).total_seconds() for a, b in pairwise(times[30:])]
    assert sorted(steps)[len(steps) // 2] == pytest.approx(0.1, abs=0.03), "as the camera sent them"


def count_frames(camera: Camera, seconds: float) -> int:
    give_up, seen = time.monotonic() + seconds, 0
    while time.monotonic() < give_up:
        seen += isinstance(camera.next(0.2), Frame)
    return seen
