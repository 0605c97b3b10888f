"""Pictures whose light and place were changed by known amounts are brought back."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.vision.frames import GreyPicture, to_working_picture
from edge_agent.vision.gradient import Gradient
from edge_agent.vision.light import LightModel
from edge_agent.vision.scene import draw

ROOM = to_working_picture(draw(1, 2))


def learn(room: GreyPicture) -> LightModel:
    return LightModel(room, Gradient.of(room), np.ones(room.shape, np.bool_))


def bring_back(picture: GreyPicture, room: GreyPicture = ROOM) -> GreyPicture:
    model = learn(room)
    clipped = np.clip(picture, 0, 255).astype(np.float32)
    return model.bring_back(clipped, model.fit(clipped))


def error(picture: GreyPicture, room: GreyPicture = ROOM) -> float:
    """The 95th percentile of the grey levels by which it misses the room, away from the rim."""
    inner = np.abs(bring_back(picture, room) - room)[4:-4, 4:-4]
    return float(np.percentile(inner, 95))


def test_gain_and_offset() -> None:
    assert error(0.6 * ROOM + 12) < 1
    assert error(0.25 * ROOM) < 1


def test_light_from_one_side() -> None:
    across = np.linspace(0.5, 1.2, ROOM.shape[1], dtype=np.float32)[None, :]
    assert error(ROOM * across) < 4


@pytest.mark.parametrize("shift", [(0.6, 0.0), (-0.8, 0.5), (0.0, -1.0)])
def test_a_picture_that_was_shaken(shift: tuple[float, float]) -> None:
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    size = ROOM.shape[1], ROOM.shape[0]
    moved = cv2.warpAffine(ROOM, move, size, borderMode=cv2.BORDER_REPLICATE)
    picture = np.asarray(moved, dtype=np.float32)
    assert error(picture) < 0.5 * float(np.percentile(np.abs(picture - ROOM), 95))


def test_people_in_a_third_of_the_picture_do_not_matter() -> None:
    picture = 0.6 * ROOM + 12
    picture[:, :85] = 30
    back = bring_back(picture)
    assert float(np.abs(back - ROOM)[:, 90:-4].mean()) < 1


def test_an_overexposed_picture_is_at_least_as_bright() -> None:
    back = bring_back(2.5 * ROOM)
    assert float(np.percentile(ROOM - back, 99)) < 3


def test_a_background_without_contrast_gives_no_nonsense() -> None:
    flat = np.full((40, 60), 90, np.float32)
    assert error(flat + 30, flat) < 1
    assert np.isfinite(bring_back(np.full((40, 60), 255, np.float32), flat)).all()


def test_the_light_before_is_no_trap_when_a_lamp_is_switched() -> None:
    model = learn(ROOM)
    dark = model.fit(0.3 * ROOM)
    assert dark[0] == pytest.approx(0.3, abs=0.02)
    assert model.fit(ROOM)[0] == pytest.approx(1, abs=0.02)


def test_no_more_is_fitted_than_has_changed() -> None:
    model, noise = learn(ROOM), np.random.default_rng(1).normal(0, 1, (2, *ROOM.shape))
    first = model.fit(to_float(ROOM + noise[0]))
    assert model.fit(to_float(ROOM + noise[1])) is first, "noise is no light"
    brighter = model.fit(to_float(1.1 * ROOM + noise[1]))
    assert brighter[0] == pytest.approx(1.1, abs=0.01)
    assert (np.delete(brighter, [0, 3]) == np.delete(first, [0, 3])).all(), "gain and offset"


def test_a_light_that_was_mistaken_before_a_crowd_is_not_kept_after_it() -> None:
    model = learn(ROOM)
    crowd = ROOM.copy()
    crowd[20:] = np.random.default_rng(1).uniform(10, 120, crowd[20:].shape)
    assert float(model.fit(crowd)[0]) < 0.5
    assert float(np.abs(model.bring_back(ROOM, model.fit(ROOM)) - ROOM).mean()) < 0.5


def test_light_that_wanders_does_not_go_unseen_for_being_slow() -> None:
    model, noise = learn(ROOM), np.random.default_rng(1)
    for step in range(100):
        light = 1 - 0.003 * step
        picture = to_float(light * ROOM + noise.normal(0, 1, ROOM.shape))
        back = model.bring_back(picture, model.fit(picture))
        assert abs(float(np.mean(back - ROOM))) < 1.5, light


def test_eight_is_one_grey_level_a_pixel() -> None:
    slope = np.tile(np.arange(20, dtype=np.float32), (20, 1))
    assert Gradient.of(slope).strength[5:15, 5:15] == pytest.approx(8)


def to_float(picture: npt.NDArray[Any]) -> GreyPicture:
    return np.asarray(picture, dtype=np.float32)
