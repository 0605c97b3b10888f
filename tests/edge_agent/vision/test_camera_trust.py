"""Trust on the drawn room, and on pictures that no camera should send; real clips are in
`test_camera_trust_on_clips.py`.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest
from cv2.typing import MatLike
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.core.camera_state import OK, Judgement
from edge_agent.vision.camera_trust import CameraTrust
from edge_agent.vision.frames import Frame, Image
from edge_agent.vision.scene import draw
from edge_agent.vision.view import View
from event_protocol.events import CameraDetail, CameraState

START = datetime(2030, 1, 1, tzinfo=UTC)


def judge(trust: CameraTrust, image: Image, seconds: float) -> Judgement:
    frame = Frame(image, START + timedelta(seconds=seconds))
    return trust.judge(View.of(frame), lambda: frame.image, frame.captured_at)


def play(trust: CameraTrust, images: Iterator[Image], begin_s: float = 0) -> list[Judgement]:
    """One picture a second, as a camera that is looked at for its key frames only."""
    return [judge(trust, image, begin_s + second) for second, image in enumerate(images)]


def rooms(begin_s: int, end_s: int) -> Iterator[Image]:
    return (draw(seed=1, at_s=second) for second in range(begin_s, end_s))


@pytest.fixture
def trust() -> CameraTrust:
    """Calibrated to the empty room."""
    trust = CameraTrust()
    trust.memory.calibrate([Frame(image, START).fine for image in rooms(0, 5)])
    return trust


def blur(image: MatLike, sigma: float) -> MatLike:
    return cv2.GaussianBlur(image, (0, 0), sigma)


def noisy(image: MatLike, sigma: float) -> MatLike:
    return image + np.random.default_rng(1).normal(0, sigma, image.shape)


# Without any view to compare with: does the picture show anything at all?
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
    ("light through cloth", lambda room: 80 + blur(room, 40) * 0.25, CameraState.COVERED),
    ("a torch in the lens", lambda room: room * 0 + 255, CameraState.COVERED),
]


@pytest.mark.parametrize(
    ("change", "state"), [(c, s) for _, c, s in FACTS], ids=[f[0] for f in FACTS]
)
def test_judges_one_picture(change: Callable[[MatLike], MatLike], state: CameraState) -> None:
    room = draw(seed=1, at_s=30).astype(np.float32)
    seen = np.clip(change(room), 0, 255).astype(np.uint8)
    assert judge(CameraTrust(), seen, 0).state is state


def test_a_blinded_lens_is_covered_by_light(trust: CameraTrust) -> None:
    white = np.full((360, 640, 3), 255, np.uint8)
    assert judge(trust, white, 0) == Judgement(CameraState.COVERED, CameraDetail.GLARE)


def test_the_drawn_room_is_trusted_whoever_is_in_it(trust: CameraTrust) -> None:
    assert set(play(trust, rooms(0, 200))) == {OK}


def test_a_view_that_nobody_calibrated_is_learned_from_the_first_seconds() -> None:
    trust = CameraTrust()
    assert set(play(trust, rooms(0, 12))) == {OK}
    assert trust.memory.is_settled
    turned = [np.roll(image, (20, -50), axis=(0, 1)) for image in rooms(12, 16)]
    for judged in play(trust, iter(turned), 12):
        assert judged.state is CameraState.MOVED
        assert judged.shift is not None
        assert judged.shift.right == pytest.approx(-50, abs=2)
        assert judged.shift.down == pytest.approx(20, abs=2)


def test_a_picture_of_the_same_shape_but_another_size_shows_the_same(trust: CameraTrust) -> None:
    smaller = [np.asarray(cv2.resize(image, (480, 270)), np.uint8) for image in rooms(5, 9)]
    assert set(play(trust, iter(smaller))) == {OK}


def test_a_picture_of_another_shape_can_not_be_compared(trust: CameraTrust) -> None:
    cropped = [image[:, 80:-80] for image in rooms(5, 9)]
    said = play(trust, iter(cropped))
    assert set(said) == {Judgement(CameraState.MOVED, CameraDetail.SIZE)}
    assert judge(trust, draw(1, 9), 9) is OK


def test_a_shift_is_told_in_pixels_of_the_frame(trust: CameraTrust) -> None:
    large = np.asarray(cv2.resize(draw(1, 6), (1280, 720)), np.uint8)
    moved = judge(trust, np.roll(large, (30, 60), axis=(0, 1)), 6)
    assert moved.state is CameraState.MOVED
    assert moved.shift is not None
    assert (moved.shift.right, moved.shift.down) == pytest.approx((60, 30), abs=2)


def test_a_view_that_wanders_slowly_is_followed_and_one_that_jumps_is_not(
    trust: CameraTrust,
) -> None:
    def wandered(second: int) -> Image:
        way = np.array([[1, 0, 0.4 * second], [0, 1, 0]], np.float32)
        return np.asarray(cv2.warpAffine(draw(1, second), way, (640, 360)), np.uint8)

    assert set(play(trust, map(wandered, range(30)))) == {OK}
    jumped = np.roll(wandered(30), 14, axis=1)
    assert judge(trust, jumped, 30).state is CameraState.MOVED


def test_a_frozen_picture_is_known_after_five_seconds_and_while_it_lasts(
    trust: CameraTrust,
) -> None:
    still = draw(1, 9)
    judged = play(trust, iter([*rooms(0, 10), *[still] * 9, *rooms(20, 24)]))
    states = [j.state for j in judged]
    assert states[:14] == [CameraState.OK] * 14
    assert states[14:19] == [CameraState.FROZEN] * 5
    assert states[19:] == [CameraState.OK] * 4
    assert judged[14].since == START + timedelta(seconds=9)


@pytest.mark.parametrize("is_calibrated", [True, False])
def test_however_long_a_view_is_amiss_it_is_not_given_up(
    trust: CameraTrust, is_calibrated: bool
) -> None:
    """Else whoever is watched turns the camera away and waits."""
    if not is_calibrated:
        trust = CameraTrust()
        play(trust, rooms(0, 8))
    judged = [judge(trust, np.roll(draw(1, s), 60, axis=1), s) for s in range(8, 4000, 60)]
    assert {j.state for j in judged} == {CameraState.MOVED}
    assert judge(trust, draw(1, 4000), 4000) is OK


def test_a_sharp_cover_is_none_since_before_it_stood_there(trust: CameraTrust) -> None:
    """At five pictures a second what did not move in the looks before tells nothing of it."""
    board = draw(1, 9).copy()
    squares = np.random.default_rng(3).integers(30, 230, (18, 20)).astype(np.uint8)
    board[:, :400] = np.kron(squares, np.ones((20, 20), np.uint8))[:, :, None]
    for number in range(43):
        assert judge(trust, draw(1, number / 5), number / 5) is OK
    judged = [judge(trust, board, number / 5) for number in range(43, 58)]
    since = [j.since for j in judged if j.state is CameraState.COVERED]
    assert since[0] == START + timedelta(seconds=43 / 5)
    assert all(one is not None and one >= START + timedelta(seconds=43 / 5) for one in since)


def test_a_print_over_everything_is_a_cover_and_no_other_room(trust: CameraTrust) -> None:
    squares = np.random.default_rng(5).integers(20, 230, (30, 54)).astype(np.uint8)
    print_ = np.kron(squares, np.ones((12, 12), np.uint8))[:360, :640]
    judged = judge(trust, np.repeat(print_[:, :, None], 3, axis=2), 6)
    assert judged == Judgement(CameraState.COVERED)


def test_a_covered_view_is_never_learned(trust: CameraTrust) -> None:
    paper = np.full((360, 640, 3), 220, np.uint8)
    covered = play(trust, iter([paper] * 400))
    assert {j.state for j in covered} == {CameraState.COVERED}
    assert judge(trust, draw(1, 9), 400) is OK


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 90),
            st.integers(1, 90),
            st.integers(0, 255),
            st.integers(0, 3),
            st.floats(-20, 20),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_no_sequence_of_odd_pictures_is_too_odd(
    script: list[tuple[int, int, int, int, float]],
) -> None:
    """Any size from one pixel, any level, any time forwards and backwards: judged, never raised."""
    trust, at_s = CameraTrust(), 0.0
    for height, width, level, kind, step in script:
        dice = np.random.default_rng(level)
        image = np.full((height, width, 3), level, np.uint8)
        if kind == 1:
            image = dice.integers(0, 256, (height, width, 3), np.uint8)
        elif kind == 2:
            image[::2] = 255 - level
        elif kind == 3:
            image[:, : width // 2] = dice.integers(0, 256)
        at_s += step
        assert judge(trust, image, at_s).state in CameraState
