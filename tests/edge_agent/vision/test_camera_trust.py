"""A picture that shows nothing is told from a dim or noisy one that still does."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from cv2.typing import MatLike

from edge_agent.vision.camera_trust import judge
from edge_agent.vision.frames import Image, to_working_picture
from edge_agent.vision.scene import draw
from event_protocol.events import CameraState

FACTS: list[tuple[str, Callable[[MatLike], MatLike], CameraState]] = [
    ("the room", lambda room: room, CameraState.OK),
    ("a dim room", lambda room: room * 0.3, CameraState.OK),
    ("a bright room", lambda room: room * 1.5, CameraState.OK),
    ("a noisy room", lambda room: noisy(room * 0.5, 25), CameraState.OK),
    ("no light", lambda room: room * 0.05, CameraState.DARK),
    ("black", lambda room: room * 0, CameraState.DARK),
    ("black with sensor noise", lambda room: noisy(room * 0, 12), CameraState.DARK),
    ("a sheet of paper", lambda room: room * 0 + 200, CameraState.COVERED),
    ("a hand, noisy", lambda room: noisy(room * 0 + 60, 20), CameraState.COVERED),
    ("light through cloth", lambda room: 80 + blur(room) * 0.25, CameraState.COVERED),
]


def blur(image: MatLike) -> MatLike:
    return cv2.GaussianBlur(image, (0, 0), 40)


def noisy(image: MatLike, sigma: float) -> MatLike:
    return image + np.random.default_rng(1).normal(0, sigma, image.shape)


@pytest.mark.parametrize(
    ("change", "state"), [(c, s) for _, c, s in FACTS], ids=[f[0] for f in FACTS]
)
def test_judges_one_picture(change: Callable[[MatLike], MatLike], state: CameraState) -> None:
    room: Image = draw(seed=1, at_s=30)
    seen = np.clip(change(room.astype(np.float32)), 0, 255).astype(np.uint8)
    assert judge(to_working_picture(seen)) is state
