"""What is said of cameras that fail, over real streams: which state, by the frames' own clock.

All cameras run at the same time, since each needs seconds of real time and next to no processor.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from edge_agent.core.statements import Statement
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision import scene
from edge_agent.vision.camera import Camera, SignalLost
from edge_agent.vision.frames import Frame
from edge_agent.vision.sources import StreamSource
from event_protocol.events import CameraDetail, CameraObserved, CameraState, PresenceObserved
from event_protocol.names import DeskId
from tests.processes.fault_camera import SHIFT, Fault, FaultCamera
from tests.processes.ports import wait_until
from tests.processes.rtsp_server import RtspServer

pytestmark = pytest.mark.processes

FPS = 5.0
DESK = DeskId("desk-1")
PATIENCE_S = 60  # a busy machine is no defect
LOST, OK = CameraState.LOST, CameraState.OK


class Watch:
    """A camera, its reader and its pipeline, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self.ahead = timedelta()  # of the true time
        self.said: list[Statement] = []
        self.frames = 0
        self._pipeline = DeskPipeline("camera", {DESK: scene.ZONES}, uuid4)
        self._camera = Camera(StreamSource(url, self.now), self.now, first_retry_s=0.3)
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self._thread.start()

    def now(self) -> datetime:
        """A time of its own, which the test may set."""
        return datetime.fromtimestamp(time.monotonic(), UTC) + self.ahead

    @property
    def states(self) -> list[CameraState]:
        return [data.state for data in self.cameras]

    @property
    def cameras(self) -> list[CameraObserved]:
        return [s.data for s in self.said if isinstance(s.data, CameraObserved)]

    def stop(self) -> None:
        self._is_stopping.set()
        self._thread.join()
        self._camera.close()

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            news = self._camera.next(0.2)
            if isinstance(news, Frame):
                self.frames += 1
                said = self._pipeline.observe(news)
                self.said += [s for s in said if isinstance(s, Statement)]
            elif isinstance(news, SignalLost):
                self.said += self._pipeline.camera_lost(news.since, news.at)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """The drawn room, with people in it; every picture has its own noise."""
    return [scene.draw(1, 20 + number / FPS) for number in range(60)]


def play(pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]], fault: Fault) -> Watch:
    """Good pictures, then the fault until it is told, then good ones until that is told."""
    with FaultCamera(pictures, FPS) as camera:
        watch = Watch(camera.url)
        try:
            wait_until(lambda: watch.frames > 6 * FPS, PATIENCE_S, "pictures")
            camera.fault = fault
            wait_until(lambda: len(watch.states) > 1, PATIENCE_S, f"{fault} is told")
            camera.fault = Fault.NONE
            wait_until(lambda: watch.states[-1] is OK, PATIENCE_S, "it is told to be over")
        finally:
            watch.stop()
    return watch


@pytest.fixture(scope="module")
def watches(
    pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]],
) -> dict[Fault, Watch]:
    """One for each fault that must be told."""
    with ThreadPoolExecutor(len(TOLD)) as pool:
        return dict(zip(TOLD, pool.map(lambda fault: play(pictures, fault), TOLD), strict=True))


TOLD = {
    Fault.STALL: (LOST, None),
    Fault.HANG_UP: (LOST, None),
    Fault.CORRUPT: (LOST, None),
    Fault.FREEZE: (CameraState.FROZEN, None),
    Fault.BLACK: (CameraState.DARK, None),
    Fault.MOVED: (CameraState.MOVED, None),
    Fault.BLURRED: (CameraState.DEFOCUSED, None),
    Fault.OTHER_SHAPE: (CameraState.MOVED, CameraDetail.SIZE),
}


@pytest.mark.parametrize("fault", TOLD)
def test_a_fault_is_told_by_its_name_and_clears_by_itself(
    watches: dict[Fault, Watch], fault: Fault
) -> None:
    watch = watches[fault]
    state, detail = TOLD[fault]
    assert watch.states == [OK, state, OK]
    assert watch.cameras[1].detail is detail


@pytest.mark.parametrize("fault", TOLD)
def test_an_alarm_comes_in_time_and_makes_presence_unknown(
    watches: dict[Fault, Watch], fault: Fault
) -> None:
    watch = watches[fault]
    alarm = next(s for s in watch.said if s.data == watch.cameras[1])
    limit = timedelta(seconds=7 if watch.cameras[1].state in (CameraState.FROZEN, LOST) else 5)
    assert alarm.at - watch.cameras[1].since <= limit
    until_it_is_over = itertools.takewhile(lambda s: s.data != watch.cameras[2], watch.said)
    zones = {s.data.zone: s.data for s in until_it_is_over if isinstance(s.data, PresenceObserved)}
    assert {data.state for data in zones.values()} == {"unknown"}


def test_a_turned_camera_says_by_how_many_pixels(watches: dict[Fault, Watch]) -> None:
    shift = watches[Fault.MOVED].cameras[1].shift
    assert shift is not None
    assert (shift.right, shift.down) == pytest.approx(SHIFT, abs=3)


def test_bursts_and_smaller_pictures_of_the_same_view_are_no_fault(
    pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]],
) -> None:
    with FaultCamera(pictures, FPS) as bursts, FaultCamera(pictures, FPS) as smaller:
        watches = [Watch(bursts.url), Watch(smaller.url)]
        try:
            wait_until(lambda: all(w.frames > 6 * FPS for w in watches), PATIENCE_S, "pictures")
            bursts.fault, smaller.fault = Fault.BURST, Fault.OTHER_SIZE
            seen = [w.frames for w in watches]
            wait_until(lambda: watches[1].frames > seen[1] + 6 * FPS, PATIENCE_S, "smaller ones")
            wait_until(lambda: watches[0].frames > seen[0] + 2, PATIENCE_S, "bursts")
        finally:
            for watch in watches:
                watch.stop()
        assert [w.states for w in watches] == [[OK], [OK]]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_jumps_leaves_a_span_that_nobody_saw(
    pictures: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]], hours: float
) -> None:
    with FaultCamera(pictures, FPS) as camera:
        watch = Watch(camera.url)
        try:
            wait_until(lambda: watch.frames > 5, PATIENCE_S, "pictures")
            watch.ahead = timedelta(hours=hours)
            wait_until(lambda: len(watch.states) == 3, PATIENCE_S, "the jump is told")
        finally:
            watch.stop()
    assert watch.states == [OK, LOST, OK]
    assert watch.cameras[1].detail is CameraDetail.TIME_JUMP


@pytest.fixture
def sparse_keys(tmp_path: Path) -> Iterator[RtspServer]:
    """An RTSP camera with key frames ten seconds apart, that is turned after six seconds."""
    film = tmp_path / "film.mp4"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = scene.WIDTH, scene.HEIGHT, "yuv420p"
        stream.options = {"preset": "ultrafast", "g": "100", "sc_threshold": "0", "bf": "0"}
        for number in range(300):
            image = scene.draw(1, 20 + number / 10)
            if number > 60:
                image = np.roll(image, SHIFT, axis=(1, 0))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    with RtspServer(tmp_path, film) as server:
        yield server


def test_key_frames_ten_seconds_apart_are_enough_to_see_a_camera_turned(
    sparse_keys: RtspServer,
) -> None:
    watch = Watch(sparse_keys.url)
    try:
        wait_until(lambda: len(watch.states) > 1, PATIENCE_S, "it is told")
    finally:
        watch.stop()
    assert watch.states == [OK, CameraState.MOVED]
    assert watch.cameras[1].shift is not None
