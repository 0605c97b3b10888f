"""What the first seconds teach of the view; the rest is in `test_camera_trust.py`."""

import numpy as np

from edge_agent.vision.frames import GreyImage
from edge_agent.vision.view_memory import usual

DICE = np.random.default_rng(2)
ROOM = DICE.integers(60, 160, (180, 320))


def seen(gain: float, passes_at: int | None = None) -> GreyImage:
    picture = ROOM.copy()
    if passes_at is not None:
        picture[:, passes_at : passes_at + 60] = 250
    noisy = gain * picture + DICE.normal(0, 1, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def test_who_passes_by_leaves_nothing_in_the_view() -> None:
    pictures = [seen(1), seen(1), seen(1, 20), seen(1, 90), seen(1)]
    assert np.abs(usual(pictures) - ROOM).max() < 5


def test_nor_does_a_lamp_that_is_switched() -> None:
    pictures = [seen(1), seen(1), seen(0.5), seen(0.5), seen(1, 200)]
    found = usual(pictures)
    assert np.abs(found * (ROOM.mean() / found.mean()) - ROOM).max() < 8
