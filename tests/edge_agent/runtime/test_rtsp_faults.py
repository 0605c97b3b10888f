"""What is said of RTSP cameras that fail: which state, by the frames' own clock.

One server, one camera for each row of a table, all watched at the same time: each needs half a
minute of real time and next to no processor. HTTP cameras are in `test_fault_camera.py`; hours of
the same are in `make soak`.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.vision import scene
from edge_agent.vision.frames import Image
from event_protocol.events import CameraDetail, CameraObserved, CameraState, PresenceObserved
from tests.edge_agent.films import make_film
from tests.edge_agent.runtime.watch import Watch
from tests.processes.cable import Cable
from tests.processes.fault_camera import BLUR, SHIFT
from tests.processes.ports import wait_until
from tests.processes.rtsp_server import RtspServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

FPS = 5
PATIENCE_S = 60  # a busy machine is no defect
GOOD_S, AGAIN_S = 7, 2  # first, so that the view is known, and between faults
OK, LOST, MOVED = CameraState.OK, CameraState.LOST, CameraState.MOVED

Change = Callable[[Image], Image]


def as_it_is(image: Image) -> Image:
    return image


def black(image: Image) -> Image:
    return np.zeros_like(image)


def turned(image: Image) -> Image:
    return np.roll(image, SHIFT, axis=(1, 0))


def blurred(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR), dtype=np.uint8)


def frozen(_image: Image) -> Image:
    return scene.draw(1, 20)


def smaller(image: Image) -> Image:
    return np.asarray(cv2.resize(image, (320, 180)), dtype=np.uint8)


def narrower(image: Image) -> Image:
    return np.ascontiguousarray(image[:, :480])


# What each camera shows, for how many seconds, and what must be told of it, in order.
FILMS: dict[str, tuple[list[tuple[Change, int]], list[CameraState]]] = {
    "black_turned": (
        [(as_it_is, GOOD_S), (black, 4), (as_it_is, AGAIN_S), (turned, 4), (as_it_is, 9)],
        [OK, CameraState.DARK, OK, MOVED, OK],
    ),
    "blurred_frozen": (
        [(as_it_is, GOOD_S), (blurred, 4), (as_it_is, AGAIN_S), (frozen, 7), (as_it_is, 9)],
        [OK, CameraState.DEFOCUSED, OK, CameraState.FROZEN, OK],
    ),
    "resized": (
        [(as_it_is, GOOD_S), (smaller, 5), (narrower, 4), (as_it_is, 9)],
        [OK, MOVED, OK],
    ),
    "sparse_keys": ([(as_it_is, GOOD_S), (turned, 15)], [OK, MOVED]),
}


def play_film(server: RtspServer, name: str) -> Watch:
    """Watch it until the last that must be told of it."""
    watch = Watch(server.url_of(name))
    try:
        told = len(FILMS[name][1])
        wait_until(lambda: len(watch.states) >= told, PATIENCE_S, f"{name}: {watch.states}")
    finally:
        watch.stop()
    return watch


def recover(watch: Watch, told: int) -> None:
    """Wait until so much is told of it, and for some pictures more."""
    wait_until(lambda: len(watch.states) == told, PATIENCE_S, f"told: {watch.states}")
    seen = watch.frames
    wait_until(lambda: watch.frames > seen + 2 * FPS, PATIENCE_S, "pictures")


def spoil(piece: bytes) -> bytes:
    """No packet of these is what was sent."""
    spoilt = bytearray(piece)
    for place in range(0, len(spoilt), 50):
        spoilt[place] ^= 0xFF
    return bytes(spoilt)


def play_line(server: RtspServer) -> Watch:
    """A burst, a stall, bytes that are none of the camera's, and a line that is cut, in this order.

    After each, all is well again before the next.
    """
    with Cable(server.port) as cable:
        watch = Watch(server.url_of("desk", cable.port))

        try:
            recover(watch, 1)
            cable.hold()
            time.sleep(2.5)
            cable.let_go()
            recover(watch, 1)
            cable.hold()
            wait_until(lambda: watch.states[-1] is LOST, PATIENCE_S, "the stall is told")
            cable.let_go()
            recover(watch, 3)
            cable.damage = spoil
            wait_until(lambda: watch.states[-1] is LOST, PATIENCE_S, "the damage is told")
            cable.damage = bytes
            recover(watch, 5)
            cable.cut()
            wait_until(lambda: watch.states[-1] is LOST, PATIENCE_S, "the cut is told")
            cable.mend()
            recover(watch, 7)
        finally:
            watch.stop()
    return watch


def play_clock(server: RtspServer) -> Watch:
    """The box's clock is set forth and back."""
    watch = Watch(server.url)
    try:
        for count, hours in ((1, 2), (3, -2)):
            recover(watch, count)
            watch.ahead += timedelta(hours=hours)
        wait_until(lambda: len(watch.states) == 5, PATIENCE_S, "both jumps are told")
    finally:
        watch.stop()
    return watch


@pytest.fixture(scope="module")
def watches(tmp_path_factory: pytest.TempPathFactory, testdata: Path) -> dict[str, Watch]:
    folder = tmp_path_factory.mktemp("rtsp")
    films = {}
    for name, (script, _) in FILMS.items():
        key_every = 10 * FPS if name == "sparse_keys" else FPS
        films[name] = make_film(folder / f"{name}.ts", draw(script), FPS, key_every)
    desk = testdata / "video" / "desk_one_by_one_a.mp4"
    with RtspServer(folder, desk, **films) as server, ThreadPoolExecutor(len(FILMS) + 2) as pool:
        running = {name: pool.submit(play_film, server, name) for name in FILMS}
        running["line"] = pool.submit(play_line, server)
        running["clock"] = pool.submit(play_clock, server)
        return {name: play.result() for name, play in running.items()}


def draw(script: list[tuple[Change, int]]) -> Iterator[Image]:
    number = 0
    for change, seconds in script:
        for _ in range(seconds * FPS):
            yield change(scene.draw(1, 20 + number / FPS))
            number += 1


@pytest.mark.parametrize("name", FILMS)
def test_a_fault_in_the_picture_is_told_by_its_name_and_clears_by_itself(
    watches: dict[str, Watch], name: str
) -> None:
    watch = watches[name]
    assert watch.states == FILMS[name][1]
    for told in (t for t in watch.cameras if t.state is MOVED and t.detail is None):
        assert told.shift is not None
        assert (told.shift.right, told.shift.down) == pytest.approx(SHIFT, abs=3)


def test_another_shape_of_the_picture_is_told_and_another_size_is_not(
    watches: dict[str, Watch],
) -> None:
    assert [told.detail for told in watches["resized"].cameras] == [None, CameraDetail.SIZE, None]


def test_a_line_that_stalls_spoils_or_breaks_is_lost_and_one_that_bursts_is_not(
    watches: dict[str, Watch],
) -> None:
    assert watches["line"].states == [OK, LOST, OK, LOST, OK, LOST, OK]


def test_a_clock_that_is_set_forth_or_back_leaves_a_span_that_nobody_saw(
    watches: dict[str, Watch],
) -> None:
    told = watches["clock"].cameras
    assert [t.state for t in told] == [OK, LOST, OK, LOST, OK]
    assert [t.detail for t in told if t.state is LOST] == 2 * [CameraDetail.TIME_JUMP]


@pytest.mark.parametrize("name", [*FILMS, "line"])
def test_an_alarm_comes_in_time_and_makes_presence_unknown(
    watches: dict[str, Watch], name: str
) -> None:
    watch = watches[name]
    told = [(s.at, s.data) for s in watch.said]
    places = [number for number, (_, data) in enumerate(told) if data in watch.cameras]
    for place, next_place in pairwise([*places, len(told)]):
        at, alarm = told[place]
        assert isinstance(alarm, CameraObserved)
        if alarm.state is OK:
            continue
        limit_s = 7 if alarm.state in (CameraState.FROZEN, LOST) else 5
        assert at - alarm.since <= timedelta(seconds=limit_s), alarm
        so_far = [data for _, data in told[:next_place] if isinstance(data, PresenceObserved)]
        assert set({data.zone: data.state for data in so_far}.values()) <= {"unknown"}, alarm
