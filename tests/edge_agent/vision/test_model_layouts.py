"""Each layout's arrays, made by hand as its exporter makes them, in; rectangles out."""

from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest

from edge_agent.settings import ConfirmerSettings
from edge_agent.vision.model_layouts import LAYOUTS, Array, LayoutError

SIDE = 128
CELLS = {"yolox": 16**2 + 8**2 + 4**2, "nanodet": 16**2 + 8**2 + 4**2 + 2**2}
COLUMNS = {"yolox": 5 + 80, "nanodet": 80 + 32}


def empty(layout: str) -> Array:
    return np.zeros((1, CELLS[layout], COLUMNS[layout]), np.float32)


def decode(
    layout: str, *outputs: npt.NDArray[np.float32], person: int | None = None
) -> list[list[float]]:
    kind = LAYOUTS[layout]
    found = kind.decode(outputs, SIDE, kind.person if person is None else person)
    return [[round(float(value), 3) for value in row] for row in found]


def test_each_layout_of_the_settings_is_known() -> None:
    named = set(get_args(ConfirmerSettings.model_fields["layout"].annotation))
    assert named == {*LAYOUTS, "none", "face"}


def test_yolox_counts_from_the_cell_in_strides() -> None:
    output = empty("yolox")
    row = 16**2 + 2 * 8 + 3  # the second grid: stride 16, row 2, column 3
    output[0, row, :6] = [0.5, 0.25, np.log(2), np.log(3), 0.9, 0.8]
    # middle (56, 36), 32 wide and 48 high
    assert decode("yolox", output) == [[0.312, 0.094, 0.562, 0.469]]


def test_nanodet_gives_the_mean_distance_to_each_side() -> None:
    output = empty("nanodet")
    row = 16**2 + 8**2 + 1 * 4 + 2  # the third grid: stride 32, row 1, column 2
    output[0, row, 0] = 0.7
    for side, distance in enumerate((1, 0, 1, 2)):
        output[0, row, 80 + 8 * side + distance] = 60
    # centre (64, 32); 32 to the left and right, 64 down
    assert decode("nanodet", output) == [[0.25, 0.25, 0.75, 0.75]]


def test_ssd_gives_corners_and_its_outputs_come_in_any_order() -> None:
    scores = np.zeros((1, 6, 21), np.float32)
    boxes = np.tile(np.array([0.1, 0.2, 0.3, 0.4], np.float32), (1, 6, 1))
    scores[0, 4, 15] = 0.6
    assert decode("ssd", scores, boxes) == [[0.1, 0.2, 0.3, 0.4]]
    assert decode("ssd", boxes, scores) == [[0.1, 0.2, 0.3, 0.4]]
    assert decode("ssd", boxes, scores, person=7) == []


@pytest.mark.parametrize("layout", ["yolox", "nanodet"])
def test_other_classes_and_low_scores_are_nobody(layout: str) -> None:
    assert decode(layout, empty(layout)) == []
    output = empty(layout)
    output[0, :, 4] = 1
    output[0, :, 6] = 1  # YOLOX: class 1
    assert decode(layout, output) == []
    output[0, :, 5] = 0.4
    assert decode(layout, output) == []


@pytest.mark.parametrize(
    ("layout", "outputs"),
    [
        ("yolox", [empty("nanodet")]),
        ("nanodet", [empty("yolox")]),
        ("yolox", [empty("yolox")[0]]),
        ("yolox", [empty("yolox")[:, :, :5]]),
        ("yolox", [empty("yolox"), empty("yolox")]),
        ("yolox", []),
        ("ssd", [empty("yolox")]),
        ("ssd", [np.zeros((1, 6, 21), np.float32), np.zeros((1, 7, 4), np.float32)]),
        ("ssd", [np.zeros((1, 6, 21), np.float32), np.zeros((1, 6, 5), np.float32)]),
        ("ssd", [np.zeros((1, 6, 4), np.float32), np.zeros((1, 6, 4), np.float32)]),
        ("ssd", [np.zeros((), np.float32), np.zeros((1, 6, 4), np.float32)]),
    ],
)
def test_other_shapes_are_refused(layout: str, outputs: list[npt.NDArray[np.float32]]) -> None:
    with pytest.raises(LayoutError, match="output"):
        decode(layout, *outputs)


@pytest.mark.parametrize("layout", ["yolox", "nanodet"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused_wherever_it_stands(layout: str, value: float) -> None:
    output = empty(layout)
    output[0, 3, -1] = value
    with pytest.raises(LayoutError, match="no number"):
        decode(layout, output)


def test_scores_before_their_last_step_are_refused() -> None:
    output = empty("yolox")
    output[0, :, 4:] = -7.0
    with pytest.raises(LayoutError, match="from 0 to 1"):
        decode("yolox", output)


def test_yolox_keeps_the_pictures_shape_and_pads_it() -> None:
    layout, image = LAYOUTS["yolox"], np.full((90, 160, 3), (10, 20, 30), np.uint8)
    prepared = layout.prepare(image, SIDE)
    assert prepared.shape == (1, 3, SIDE, SIDE)
    assert prepared[0, :, 71, 127].tolist() == [10, 20, 30]
    assert prepared[0, :, 72, 0].tolist() == [114, 114, 114]
    boxes = np.array([[0, 0, 1, 72 / 128]], np.float32)
    assert layout.to_picture(boxes, image, SIDE).tolist() == [[0, 0, 1, 1]]


def test_ssd_sees_red_first_and_the_whole_picture() -> None:
    layout, image = LAYOUTS["ssd"], np.full((90, 160, 3), (127, 127, 255), np.uint8)
    prepared = layout.prepare(image, SIDE)
    assert prepared[0, :, 127, 127].tolist() == [1, 0, 0]
    boxes = np.array([[0, 0, 1, 1]], np.float32)
    assert layout.to_picture(boxes, image, SIDE) is boxes


def test_nanodet_scales_each_channel() -> None:
    image = np.full((90, 160, 3), (104, 116, 124), np.uint8)
    prepared = LAYOUTS["nanodet"].prepare(image, SIDE)
    assert np.abs(prepared).max() < 0.02
