"""Real photographs with ground truth, and cards drawn small, tilted, blurred and inverted."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import segno
from cv2.typing import MatLike

from edge_agent.vision.qr_reader import read_fast, read_thoroughly
from tests.edge_agent.vision.card_frames import hold_up_cards, load_rooms

TEXTS = (
    "onestop:rating:5",
    "H48.17.07-260722-0012",
    "https://dichvucong.gov.vn/p/home/dvc-tra-cuu?ma=000.00.12.H48-260722-0042",
    "Giấy hẹn: số 15/2026 – trả kết quả 30/7",
)


def read(image: MatLike) -> list[str]:
    return [code.text for code in read_thoroughly(np.asarray(image, dtype=np.uint8))]


def draw_card(
    text: str,
    *,
    module_px: float = 5,
    turned: float = 4,
    tilted: float = 0,
    dark: int = 20,
    light: int = 235,
) -> MatLike:
    """A card in the middle of a grey 640 × 480 picture, seen through a pinhole, antialiased."""
    matrix = np.array([list(row) for row in segno.make(text, error="m", micro=False).matrix])
    modules = np.pad(matrix, 4)
    card = np.where(modules, dark, light).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    side, size = card.shape[0], modules.shape[0] * module_px
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size / 2
    turn, tilt = np.deg2rad(turned), np.deg2rad(tilted)
    x, y = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ corners.T
    depth = 2.5 * size / (2.5 * size + x * np.sin(tilt))
    seen = np.stack([x * np.cos(tilt) * depth + 320, y * depth + 240], axis=1) * 4
    source = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    transform = cv2.getPerspectiveTransform(source, seen.astype(np.float32))
    large = cv2.warpPerspective(card, transform, (2560, 1920), borderValue=(150.0,))
    small = cv2.resize(large, (640, 480), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)


def blur(image: MatLike, sigma: float) -> MatLike:
    return cv2.GaussianBlur(image, (0, 0), sigma)


def add_noise(image: MatLike, sigma: float) -> MatLike:
    noise = np.random.default_rng(1).normal(0, sigma, image.shape)
    noisy: MatLike = np.clip(image + noise, 0, 255).astype(np.uint8)
    return noisy


def shade(image: MatLike) -> MatLike:
    return (image * np.linspace(0.15, 1, image.shape[1])[None, :, None]).astype(np.uint8)


HARD: dict[str, Callable[[str], MatLike]] = {
    "small": lambda text: draw_card(text, module_px=1.5),
    "small and turned": lambda text: draw_card(text, module_px=1.7, turned=33),
    "small and inverted": lambda text: draw_card(text, module_px=2.2, dark=235, light=20),
    "small and noisy": lambda text: add_noise(draw_card(text, module_px=2.2), 25),
    "tilted far": lambda text: draw_card(text, module_px=8, tilted=70),
    "tilted and turned": lambda text: draw_card(text, tilted=60, turned=40),
    "tilted and blurred": lambda text: blur(draw_card(text, module_px=4, tilted=60), 1),
    "tilted and inverted": lambda text: draw_card(text, tilted=55, dark=235, light=20),
    "blurred": lambda text: blur(draw_card(text), 2.5),
    "blurred and inverted": lambda text: blur(
        draw_card(text, module_px=3, dark=235, light=20), 1.6
    ),
    "blurred by more than half a module": lambda text: blur(draw_card(text, module_px=2), 1.2),
    "blurred, larger": lambda text: blur(draw_card(text, module_px=3), 2),
    "faint": lambda text: add_noise(draw_card(text, module_px=3, dark=100, light=120), 4),
    "half in shadow": lambda text: shade(draw_card(text)),
    "upside down": lambda text: draw_card(text, turned=183),
    "at 45 degrees": lambda text: draw_card(text, module_px=3, turned=45),
}


@pytest.mark.parametrize("kind", HARD)
def test_a_second_look_reads_hard_images(kind: str) -> None:
    assert [read(HARD[kind](text)) for text in TEXTS] == [[text] for text in TEXTS]


def test_photographs_are_read_exactly_and_nothing_is_read_where_nothing_is(
    testdata: Path,
) -> None:
    images = json.loads((testdata / "ground_truth.json").read_text())["qr"]
    exact, false = 0, []
    for image in images:
        picture = cv2.imread(str(testdata / image["file"]))
        assert picture is not None, image["file"]
        texts = read(picture)
        exact += texts == ([] if image["text"] is None else [image["text"]])
        if texts and image["text"] not in texts:
            false.append((image["file"], texts))
    assert false == []
    assert exact / len(images) >= 0.97


def test_a_card_is_found_anywhere_in_the_frames_of_a_stream(testdata: Path) -> None:
    rooms = load_rooms(testdata)
    frames = list(hold_up_cards(rooms, TEXTS, 100, module_px=3, seed=5))
    found = [[code.text for code in read_fast(frame)] for frame, _ in frames]
    assert sum(texts == [text] for texts, (_, text) in zip(found, frames, strict=True)) >= 95
    assert all(set(texts) <= {text} for texts, (_, text) in zip(found, frames, strict=True))
    assert [read_fast(room) for room in rooms] == [[]] * len(rooms)


def test_control_characters_are_kept_as_encoded() -> None:
    text = "a\tb\r\nc\x1d\x7f"
    assert read(draw_card(text)) == [text]


def test_a_small_micro_code_is_read_but_none_is_made_out_of_blur() -> None:
    matrix = np.pad(np.array([list(row) for row in segno.make_micro("A-12").matrix]), 3)
    card = np.where(matrix, 20, 235).astype(np.uint8).repeat(4, 0).repeat(4, 1)
    picture = np.stack([card] * 3, axis=2)
    assert read(picture) == ["A-12"]
    assert read_fast(picture) == [], "no card or slip is one"
    for text in TEXTS:
        hopeless = add_noise(blur(draw_card(text, module_px=3, turned=8), 2), 6)
        small = cv2.imencode(".jpg", hopeless, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        assert read(np.asarray(cv2.imdecode(small, cv2.IMREAD_COLOR))) in ([], [text])


def test_several_codes_are_all_found_and_the_same_one_is_listed_once() -> None:
    one, two = draw_card("one"), draw_card("two")
    assert sorted(read(np.hstack([one, two]))) == ["one", "two"]
    assert read(np.hstack([one, one])) == ["one"]


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (3000, 4000)])
def test_any_size_of_picture_can_be_looked_at(size: tuple[int, int]) -> None:
    assert read(np.full((*size, 3), 128, np.uint8)) == []


def test_a_small_code_in_a_large_photograph_is_read() -> None:
    photograph = np.full((3000, 4000, 3), 150, np.uint8)
    photograph[500:980, 700:1340] = blur(draw_card("far away", module_px=4), 1.5)
    assert read(photograph) == ["far away"]


def test_the_fast_look_says_where_the_code_is() -> None:
    frame = np.full((480, 1280, 3), 150, np.uint8)
    frame[:, 640:] = draw_card("here")
    (code,) = read_fast(frame)
    assert code.text == "here"
    assert code.x == pytest.approx(0.75, abs=0.02)
    assert code.y == pytest.approx(0.5, abs=0.02)
