"""Trust in a view that has next to no structure: a dark yard with a few leaves and stones."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import cv2
import numpy as np
import pytest
from cv2.typing import MatLike

from edge_agent.core.camera_state import OK, Judgement
from edge_agent.vision.camera_trust import CameraTrust
from edge_agent.vision.frames import Frame
from edge_agent.vision.view import View
from event_protocol.events import CameraState, PictureShift

START = datetime(2030, 1, 1, tzinfo=UTC)
WIDTH, HEIGHT = 640, 360
Change = Callable[[MatLike], MatLike]


@cache
def yard(seconds: int) -> MatLike:
    """Asphalt with a drain and two hundred spots of three pixels, and a sensor's noise."""
    places = np.random.default_rng(4)
    ground = np.full((HEIGHT, WIDTH, 3), (88, 90, 92), np.float32)
    ground[60:90, 500:540] = 30
    for x, y in places.integers(4, (WIDTH - 4, HEIGHT - 4), (200, 2)):
        ground[y - 1 : y + 2, x - 1 : x + 2] += places.choice((-40, 70))
    noise = np.random.default_rng(seconds).normal(0, 1.5, (HEIGHT, WIDTH, 1))
    return ground + noise.astype(np.float32)


def frame(picture: MatLike, seconds: float) -> Frame:
    image = np.clip(picture, 0, 255).astype(np.uint8)
    return Frame(image, START + timedelta(seconds=seconds))


def judge(trust: CameraTrust, picture: MatLike, seconds: float) -> Judgement:
    shown = frame(picture, seconds)
    return trust.judge(View.of(shown), lambda: shown.image, shown.captured_at)


def told_after(change: Change, is_calibrated: bool = True) -> list[Judgement]:
    """Of six clean pictures, one a second, and of two changed ones after them."""
    trust = CameraTrust()
    if is_calibrated:
        trust.memory.calibrate([frame(yard(second), 0).fine for second in range(4)])
    assert {judge(trust, yard(second), second) for second in range(6)} == {OK}
    return [judge(trust, change(yard(second)), second) for second in range(6, 8)]


def blur(sigma: float) -> Change:
    return lambda picture: cv2.GaussianBlur(picture, (0, 0), sigma)


def shift(right: float, down: float, degrees: float = 0) -> Change:
    way = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, 1)
    way[:, 2] += np.array([right, down])
    return lambda picture: cv2.warpAffine(
        picture, way, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT
    )


def hand(columns: int) -> Change:
    def change(picture: MatLike) -> MatLike:
        covered = picture.copy()
        covered[:, :columns] = (105, 135, 190)
        return covered

    return change


def car(picture: MatLike) -> MatLike:
    """White, sharp, with a dark window, before a fifth of the yard."""
    passed = picture.copy()
    passed[40:300, 250:400] = 220
    passed[90:140, 265:385] = 40
    return passed


TOLD: list[tuple[str, Change, CameraState]] = [
    ("a hand over all of it", hand(WIDTH), CameraState.COVERED),
    ("a hand over half", hand(WIDTH // 2), CameraState.COVERED),
    ("out of focus", blur(2), CameraState.DEFOCUSED),
    ("far out of focus", blur(10), CameraState.DEFOCUSED),
    ("another part of it", lambda picture: picture[::-1, ::-1], CameraState.MOVED),
    ("rolled", shift(0, 0, 7), CameraState.MOVED),
]
HARMLESS: list[tuple[str, Change]] = [
    ("dim", lambda picture: picture * 0.5),
    ("bright", lambda picture: picture * 1.4 + 10),
    ("noisy", lambda picture: picture + np.random.default_rng(9).normal(0, 10, picture.shape)),
    ("side light", lambda picture: picture * np.linspace(0.5, 1.3, WIDTH)[None, :, None]),
    ("shaken", shift(2, -2)),
    ("a car", car),
]


@pytest.mark.parametrize(
    ("change", "state"), [(c, s) for _, c, s in TOLD], ids=[name for name, *_ in TOLD]
)
def test_tampering_is_told_where_hardly_anything_is_to_be_seen(
    change: Change, state: CameraState
) -> None:
    assert {judged.state for judged in told_after(change)} == {state}


def test_so_it_is_where_nobody_calibrated() -> None:
    judged = told_after(hand(WIDTH // 2), is_calibrated=False)
    assert {one.state for one in judged} == {CameraState.COVERED}


@pytest.mark.parametrize("change", [c for _, c in HARMLESS], ids=[name for name, _ in HARMLESS])
def test_light_and_cars_are_no_tampering(change: Change) -> None:
    assert set(told_after(change)) == {OK}


def test_a_shift_is_told_in_pixels() -> None:
    for judged in told_after(shift(24, -12)):
        assert judged == Judgement(CameraState.MOVED, shift=PictureShift(right=24, down=-12))
