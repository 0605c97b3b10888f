"""What is said of HTTP cameras that fail: which state, by the frames' own clock.

All cameras run at the same time, since each needs seconds of real time and next to no processor.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest

from edge_agent.vision import scene
from event_protocol.events import CameraDetail, CameraState, PresenceObserved
from tests.edge_agent.runtime.watch import Watch
from tests.processes.fault_camera import SHIFT, Fault, FaultCamera
from tests.processes.ports import wait_until

pytestmark = pytest.mark.processes

FPS = 5.0
PATIENCE_S = 60  # a busy machine is no defect
LOST, OK = CameraState.LOST, CameraState.OK


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
