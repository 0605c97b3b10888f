"""Frames of a stream in which somebody holds a card up: real rooms, a card drawn into them."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import segno

from edge_agent.vision.frames import GreyImage

WIDTH, HEIGHT = 1280, 720
CLIPS = ("desk_one_by_one_a.mp4", "asl_help.mkv", "asl_walk.mkv", "cars_no_people.mp4")
PICTURES_A_CLIP, PICTURE_EVERY = 4, 15
FINER = 4  # drawn so many times larger, then averaged: as a lens does it


def load_rooms(testdata: Path) -> list[GreyImage]:
    """Pictures of the clips, grey, at 720p; no code is in any of them."""
    rooms: list[GreyImage] = []
    for name in CLIPS:
        with av.open(str(testdata / "video" / name)) as container:
            for number, picture in enumerate(container.decode(video=0)):
                if number == PICTURES_A_CLIP * PICTURE_EVERY:
                    break
                if number % PICTURE_EVERY == 0:
                    grey = picture.to_ndarray(format="gray")
                    rooms.append(np.asarray(cv2.resize(grey, (WIDTH, HEIGHT)), np.uint8))
    return rooms


def hold_up_cards(
    rooms: Sequence[GreyImage], texts: Sequence[str], count: int, module_px: float, seed: int
) -> Iterator[tuple[GreyImage, str]]:
    """Frames and what their card says: anywhere, turned anyhow, tilted by up to 20 degrees.

    With a camera's softness, noise and compression; dark and light as print is in a dim room.
    """
    dice = np.random.default_rng(seed)
    for _, room, text in zip(range(count), cycle(rooms), cycle(texts), strict=False):
        card = draw_card(text, int(dice.integers(15, 60)), int(dice.integers(180, 250)))
        corners = hold(len(card) * module_px, dice.uniform(-180, 180), dice.uniform(0, 20))
        free = np.array([WIDTH, HEIGHT]) - corners.max(axis=0)
        frame = paste(room, card, corners + dice.uniform((0, 0), free))
        soft = cv2.GaussianBlur(frame, (0, 0), 0.6) + dice.normal(0, 4, frame.shape)
        seen = np.clip(np.rint(soft), 0, 255).astype(np.uint8)
        coded = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        yield np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8), text


def draw_card(text: str, dark: int, light: int) -> GreyImage:
    """One pixel a module, with the standard's quiet zone."""
    modules = np.array([list(row) for row in segno.make(text, error="m", micro=False).matrix])
    return np.where(np.pad(modules, 4), dark, light).astype(np.uint8)


def hold(size: float, turned: float, tilted: float) -> npt.NDArray[np.float64]:
    """A square's corners as a pinhole camera sees them, the topmost at 0 and the leftmost too."""
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size / 2
    turn, tilt = np.deg2rad(turned), np.deg2rad(tilted)
    x, y = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ corners.T
    nearer = 2.5 * size / (2.5 * size + x * np.sin(tilt))
    seen = np.stack([x * np.cos(tilt) * nearer, y * nearer], axis=1)
    placed: npt.NDArray[np.float64] = seen - seen.min(axis=0)
    return placed


def paste(room: GreyImage, card: GreyImage, corners: npt.NDArray[np.float64]) -> GreyImage:
    """The card in the room, its edges mixed with what is behind it."""
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    size = ((right - left) * FINER, (bottom - top) * FINER)
    large = cv2.resize(card, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    side = len(large)
    source = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    target = ((corners - (left, top)) * FINER).astype(np.float32)
    transform = cv2.getPerspectiveTransform(source, target)
    seen, share = (
        cv2.resize(
            cv2.warpPerspective(drawn, transform, size),
            (right - left, bottom - top),
            interpolation=cv2.INTER_AREA,
        )
        for drawn in (large, np.full_like(large, 255))
    )
    frame = room.copy()
    behind = frame[top:bottom, left:right]
    frame[top:bottom, left:right] = seen + behind * (1 - share / 255)
    return frame
