import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import segno

from edge_agent.runtime.read_codes import read_images

TEXT = "Giấy hẹn\r\nsố\t15"


def code(margin: int = 4) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    matrix = np.array([list(row) for row in segno.make(TEXT, micro=False).matrix], np.uint8)
    dark = np.pad(matrix, margin).repeat(5, 0).repeat(5, 1)
    return (255 * (1 - dark)).astype(np.uint8)


def read_qr(*images: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_agent", "read-qr", *map(str, images)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_prints_one_line_for_each_image(tmp_path: Path) -> None:
    good, blank = tmp_path / "good.png", tmp_path / "blank.png"
    cv2.imwrite(str(good), code())
    cv2.imwrite(str(blank), np.full((50, 50), 255, np.uint8))
    run = read_qr(good, blank)
    assert run.returncode == 0
    assert [json.loads(line) for line in run.stdout.splitlines()] == [
        {"image": str(good), "texts": [TEXT]},
        {"image": str(blank), "texts": []},
    ]


def test_an_unreadable_image_does_not_stop_the_others(tmp_path: Path) -> None:
    good, text, empty = (tmp_path / name for name in ("good.png", "text.png", "empty.png"))
    cv2.imwrite(str(good), code())
    text.write_text("no image")
    empty.touch()
    run = read_qr(text, empty, tmp_path / "missing.png", tmp_path, good)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert [line.get("error") for line in lines] == [
        "not an image, or a damaged one",
        "the file is empty (0 bytes)",
        "no such file or directory",
        "is a directory",
        None,
    ]
    assert [line["texts"] for line in lines] == [[], [], [], [], [TEXT]]


def transparent() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = np.zeros((*code().shape, 4), np.uint8)
    picture[:, :, 3] = 255 - code()
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        code(),
        cv2.cvtColor(code(), cv2.COLOR_GRAY2BGR),
        transparent(),
        code().astype(np.uint16) * 257,
        transparent().astype(np.uint16) * 257,
    ],
    ids=["grey", "colour", "black on nothing", "16 bits", "16 bits on nothing"],
)
def test_every_depth_and_transparency_is_seen_as_printed(
    picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], tmp_path: Path
) -> None:
    path = tmp_path / "code.png"
    cv2.imwrite(str(path), picture)
    (answer,) = read_images([path])
    assert answer.texts == (TEXT,)
