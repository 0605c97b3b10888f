"""The watchdog around a source, with small sources that hang, fail and end as real ones do."""

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from edge_agent.vision.camera import MAX_STUCK_THREADS, Camera, SignalLost, SourceEnded
from edge_agent.vision.frames import Demand, Frame, SourceError

IMAGE = np.zeros((4, 4, 3), np.uint8)


def now() -> datetime:
    return datetime.fromtimestamp(time.monotonic(), UTC)


class ScriptedSource:
    """Each opening plays the next list of steps: `True` a frame, seconds to wait, or an error."""

    def __init__(
        self,
        *openings: Sequence[bool | float | Exception],
        is_recording: bool = False,
        keeps_all: bool = False,
    ) -> None:
        self.is_recording = is_recording
        self.keeps_all = keeps_all
        self.demand = Demand.ALL_FRAMES
        self.opened = 0
        self.release = threading.Event()
        self._openings = openings

    def frames(self) -> Iterator[Frame]:
        steps = self._openings[min(self.opened, len(self._openings) - 1)]
        self.opened += 1
        for step in steps:
            if isinstance(step, Exception):
                raise step
            if step is True:
                yield Frame(IMAGE, now())
            else:
                self.release.wait(step)


@pytest.fixture
def cameras() -> Iterator[list[tuple[Camera, ScriptedSource]]]:
    made: list[tuple[Camera, ScriptedSource]] = []
    yield made
    for camera, source in made:
        source.release.set()
        camera.close()


def watch(
    cameras: list[tuple[Camera, ScriptedSource]],
    source: ScriptedSource,
    stall_s: float = 0.2,
    open_s: float = 0.2,
) -> Camera:
    camera = Camera(source, now, stall_s=stall_s, open_s=open_s, first_retry_s=0.05)
    cameras.append((camera, source))
    return camera


Cameras = list[tuple[Camera, ScriptedSource]]


def until_lost(camera: Camera) -> SignalLost:
    for _ in range(100):
        news = camera.next(1)
        if isinstance(news, SignalLost):
            return news
    raise AssertionError("never lost")


def test_a_slow_consumer_sees_the_newest_frame_of_a_live_source(cameras: Cameras) -> None:
    camera = watch(cameras, ScriptedSource([True, 0.02] * 50 + [10.0]), stall_s=30)
    assert isinstance(camera.next(2), Frame)
    time.sleep(0.5)
    frame = camera.next(1)
    assert isinstance(frame, Frame)
    assert (now() - frame.captured_at).total_seconds() < 0.2


def test_a_recording_drops_nothing_and_ends(cameras: Cameras) -> None:
    camera = watch(cameras, ScriptedSource([True] * 30, is_recording=True, keeps_all=True))
    for number in range(30):
        time.sleep(0.01 if number < 5 else 0)
        assert isinstance(camera.next(1), Frame)
    assert camera.next(1) == SourceEnded(None)
    assert camera.next(1) == SourceEnded(None)


def test_a_recording_that_can_not_be_read_says_why(cameras: Cameras) -> None:
    camera = watch(cameras, ScriptedSource([SourceError("film.mp4: empty")], is_recording=True))
    assert camera.next(1) == SourceEnded("film.mp4: empty")


def test_a_camera_that_hangs_while_opening_is_lost(cameras: Cameras) -> None:
    began = now()
    lost = until_lost(watch(cameras, ScriptedSource([60.0])))
    assert began <= lost.since <= lost.at
    assert lost.reason == "the camera sends no picture"


def test_a_camera_that_hangs_while_reading_is_lost_since_its_last_frame(cameras: Cameras) -> None:
    source = ScriptedSource([True, 60.0], [True] * 3 + [60.0])
    camera = watch(cameras, source)
    frame = camera.next(1)
    assert isinstance(frame, Frame)
    lost = until_lost(camera)
    assert lost.since == frame.captured_at
    assert lost.at > lost.since
    assert isinstance(camera.next(2), Frame), "it was opened again"


def test_an_absent_camera_is_reported_once_and_tried_again(cameras: Cameras) -> None:
    source = ScriptedSource([SourceError("rtsp://…: refused")])
    camera = watch(cameras, source)
    assert until_lost(camera).reason == "rtsp://…: refused"
    assert camera.next(0.5) is None
    assert source.opened >= 3


def test_a_stream_that_ends_is_lost_and_comes_back(cameras: Cameras) -> None:
    camera = watch(cameras, ScriptedSource([True], [True, 60.0]))
    assert isinstance(camera.next(1), Frame)
    assert until_lost(camera).reason == "the stream ended"
    assert isinstance(camera.next(2), Frame)
    assert isinstance(until_lost(camera), SignalLost), "a second loss is told as well"


def test_whatever_a_driver_raises_is_a_loss(cameras: Cameras) -> None:
    camera = watch(cameras, ScriptedSource([ZeroDivisionError("driver")]), open_s=10)
    assert until_lost(camera).reason == "ZeroDivisionError: driver"


def test_hanging_threads_do_not_pile_up(cameras: Cameras) -> None:
    source = ScriptedSource([60.0])
    camera = watch(cameras, source, open_s=0.05)
    camera.next(1.5)
    camera.next(1)
    assert source.opened <= MAX_STUCK_THREADS + 1


def test_a_recording_on_a_disk_that_hangs_is_waited_for(cameras: Cameras) -> None:
    source = ScriptedSource([True, 60.0, True], is_recording=True, keeps_all=True)
    camera = watch(cameras, source)
    assert isinstance(camera.next(1), Frame)
    assert isinstance(until_lost(camera), SignalLost)
    source.release.set()
    assert isinstance(camera.next(2), Frame)
    assert source.opened == 1


def test_closing_ends_the_thread(cameras: Cameras) -> None:
    before = threading.active_count()
    camera = watch(cameras, ScriptedSource([True, 0.01] * 1000))
    camera.next(1)
    assert threading.active_count() == before + 1
    camera.close()
    assert threading.active_count() == before
