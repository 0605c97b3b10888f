"""Real ONNX files through OpenCV: what is vouched for and fits is used, all else is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edge_agent.vision.face_detector import DetectorError
from edge_agent.vision.frames import Image
from edge_agent.vision.person_detector import PersonDetector, load_person_detector
from tests.edge_agent.vision.onnx_models import bright_quarters_model, constant_model

SIDE = 64
CELLS = 8**2 + 4**2 + 2**2  # of YOLOX
DARK: Image = np.zeros((90, 160, 3), np.uint8)


def load(
    folder: Path, model: bytes, layout: str, sha256: str | None = None, person: int | None = None
) -> PersonDetector:
    file = folder / "model.onnx"
    file.write_bytes(model)
    known = sha256 or hashlib.sha256(model).hexdigest()
    return load_person_detector(file, known, layout, SIDE, person)


def yolox(score: float) -> bytes:
    """Sees somebody in the upper left quarter of every square, that sure."""
    output = np.zeros((1, CELLS, 6))
    output[0, 64] = [1, 1, np.log(2), np.log(2), score, 1]  # stride 16
    return constant_model(SIDE, output)


def test_an_ssd_sees_where_the_picture_is_bright(tmp_path: Path) -> None:
    detector = load(tmp_path, bright_quarters_model(SIDE), "ssd", person=1)
    assert detector.find(DARK) == []
    image = DARK.copy()
    image[45:, :80] = 255
    assert detector.find(image) == [(0, 0.5, 0.5, 1)]
    image[:45, 80:] = 255
    assert sorted(detector.find(image)) == [(0, 0.5, 0.5, 1), (0.5, 0, 1, 0.5)]


def test_a_yolox_box_is_of_the_picture_without_its_padding(tmp_path: Path) -> None:
    (box,) = load(tmp_path, yolox(0.9), "yolox").find(DARK)
    assert box == pytest.approx((0, 0, 0.5, 32 / 36))
    assert load(tmp_path, yolox(0.4), "yolox").find(DARK) == []


def test_a_nanodet_model(tmp_path: Path) -> None:
    output = np.zeros((1, CELLS + 1, 1 + 32))
    output[0, -1] = [0.9, *np.tile([0, 40, *[0] * 6], 4)]  # a stride of 64 to each side
    (box,) = load(tmp_path, constant_model(SIDE, output), "nanodet").find(DARK)
    assert box == pytest.approx((-1, -1, 1, 1))


@pytest.mark.parametrize(
    "output",
    [
        np.zeros((1, CELLS - 1, 6)),
        np.zeros((1, CELLS, 5)),
        np.full((1, CELLS, 6), np.nan),
        np.full((1, CELLS, 6), 3.0),
    ],
    ids=["cells", "columns", "NaN", "no scores"],
)
def test_a_model_of_another_layout_is_refused_at_its_first_picture(
    tmp_path: Path, output: np.ndarray
) -> None:
    detector = load(tmp_path, constant_model(SIDE, output), "yolox")
    with pytest.raises(DetectorError, match="does not fit its layout"):
        detector.find(DARK)


def test_a_model_for_another_size_is_refused(tmp_path: Path) -> None:
    detector = load(tmp_path, bright_quarters_model(2 * SIDE), "ssd", person=1)
    with pytest.raises(DetectorError, match="does not fit its layout"):
        detector.find(DARK)


def test_bytes_that_nobody_vouched_for_are_not_parsed(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"model\.onnx: its SHA-256 is .*, not 0000"):
        load(tmp_path, b"not even a model", "yolox", sha256="0" * 64)


@pytest.mark.parametrize("part", [slice(0, 200), slice(0, 0), slice(300, None)])
def test_a_broken_file_is_refused(tmp_path: Path, part: slice) -> None:
    with pytest.raises(DetectorError, match=r"model\.onnx: OpenCV can't read it"):
        load(tmp_path, yolox(0.9)[part], "yolox")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"none\.onnx: No such file"):
        load_person_detector(tmp_path / "none.onnx", "0" * 64, "yolox")
