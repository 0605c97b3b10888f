"""What public person detectors take and give, so that a model file needs no program of its own.

Sources of the layouts, all as their own tools export them to ONNX:
- YOLOX: Megvii-BaseDetection/YOLOX, `yolox/data/data_augment.py` (`preproc`) and
  `yolox/utils/demo_utils.py` (`demo_postprocess`); without `--decode_in_inference`.
- NanoDet: RangiLyu/nanodet, `nanodet/model/head/nanodet_plus_head.py` (`_forward_onnx`,
  `get_single_level_center_priors`): NanoDet-Plus with `reg_max` 7.
- SSD: qfgaohao/pytorch-ssd, `vision/ssd/ssd.py` and `convert_to_caffe2_models.py`; VOC's classes.

Boxes are not thinned out (no suppression of overlaps): several of one person say the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.vision.frames import Image

Array = npt.NDArray[np.float32]
Outputs = Sequence[Array]

MIN_SCORE = 0.5
_PADDING = 114  # the grey that YOLOX was trained with
_YOLOX_STRIDES, _NANODET_STRIDES = (8, 16, 32), (8, 16, 32, 64)
_BOX_AND_OBJECT = 5  # YOLOX's columns before the classes
_BINS = 8  # NanoDet: a distance is a distribution over 0 … 7 strides


class LayoutError(ValueError):
    """These are not the outputs of that layout, or no sound numbers; says why."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a kind of model is asked, and how its answer is read.

    Its input is a square of `side` pixels, (1, 3, side, side), each channel less `mean` by
    `deviation`. `person`: the class, counted as in the model's scores. `decode` takes all outputs,
    side and class and gives (n, 4): left, top, right, bottom in shares of the square; it raises
    `LayoutError`.
    """

    side: int
    person: int
    decode: Callable[[Outputs, int, int], Array]
    mean: tuple[float, float, float] = (0, 0, 0)
    deviation: tuple[float, float, float] = (1, 1, 1)
    is_rgb: bool = False
    keeps_shape: bool = False  # padded on the right or below, else stretched

    def prepare(self, image: Image, side: int) -> Array:
        """The input for a picture."""
        wide, high = _size_within(image, side) if self.keeps_shape else (side, side)
        square = np.full((side, side, 3), _PADDING, np.uint8)
        square[:high, :wide] = cv2.resize(image, (wide, high), interpolation=cv2.INTER_LINEAR)
        channels = square[:, :, ::-1] if self.is_rgb else square
        scaled = (channels.astype(np.float32) - self.mean) / self.deviation
        return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], dtype=np.float32)

    def to_picture(self, boxes: Array, image: Image, side: int) -> Array:
        """Shares of the square as shares of the picture."""
        if not self.keeps_shape:
            return boxes
        wide, high = _size_within(image, side)
        return boxes * np.array([side / wide, side / high] * 2, np.float32)


def _size_within(image: Image, side: int) -> tuple[int, int]:
    height, width = image.shape[:2]
    scale = side / max(height, width)
    return max(1, int(width * scale)), max(1, int(height * scale))


def _decode_yolox(outputs: Outputs, side: int, person: int) -> Array:
    """(1, cells, 5 + classes): middle, log of size, both in strides; object and class scores."""
    cells = _cells(side, _YOLOX_STRIDES)
    rows = _only(outputs, len(cells), _BOX_AND_OBJECT + person + 1)
    scores = _scores(rows[:, 4]) * _scores(rows[:, _BOX_AND_OBJECT + person])
    rows, cells = rows[scores >= MIN_SCORE], cells[scores >= MIN_SCORE]
    strides = cells[:, 2:]
    middles = (rows[:, :2] + cells[:, :2]) * strides
    halves = np.exp(np.minimum(rows[:, 2:4], np.log(np.float32(side)))) * strides / 2
    return _corners(middles - halves, middles + halves, side)


def _decode_nanodet(outputs: Outputs, side: int, person: int) -> Array:
    """(1, cells, classes + 32): class scores; distances to the four sides, as distributions."""
    cells = _cells(side, _NANODET_STRIDES)
    rows = _only(outputs, len(cells), person + 1 + 4 * _BINS)
    scores = _scores(rows[:, person])
    rows, cells = rows[scores >= MIN_SCORE], cells[scores >= MIN_SCORE]
    bins = rows[:, -4 * _BINS :].reshape(-1, 4, _BINS)
    weights = np.exp(bins - bins.max(axis=2, keepdims=True))
    mean = weights @ np.arange(_BINS, dtype=np.float32) / weights.sum(axis=2)
    strides = cells[:, 2:]
    middles, distances = cells[:, :2] * strides, mean * strides
    return _corners(middles - distances[:, :2], middles + distances[:, 2:], side)


def _decode_ssd(outputs: Outputs, side: int, person: int) -> Array:
    """Scores (1, priors, classes) and boxes (1, priors, 4), corners in shares, in either order."""
    if len(outputs) != 2:
        raise LayoutError(f"{len(outputs)} outputs, not scores and boxes")
    boxes, scores = sorted(outputs, key=lambda output: output.shape[-1:] != (4,))
    if boxes.shape[-1:] != (4,) or scores.shape[-1:] == (4,):
        raise LayoutError(f"outputs of {boxes.shape} and {scores.shape}: which are the boxes?")
    corners = _only([boxes], None, 4)
    rows = _only([scores], len(corners), person + 1)
    return corners[_scores(rows[:, person]) >= MIN_SCORE]


LAYOUTS = {
    "yolox": Layout(side=416, person=0, decode=_decode_yolox, keeps_shape=True),
    "nanodet": Layout(
        side=416,
        person=0,
        decode=_decode_nanodet,
        mean=(103.53, 116.28, 123.675),
        deviation=(57.375, 57.12, 58.395),
    ),
    "ssd": Layout(
        side=300,
        person=15,
        decode=_decode_ssd,
        mean=(127, 127, 127),
        deviation=(128, 128, 128),
        is_rgb=True,
    ),
}


def _cells(side: int, strides: Sequence[int]) -> Array:
    """Column, row and stride of each cell of the grids, the finest first, row by row."""
    grids = []
    for stride in strides:
        count = -(-side // stride)
        rows, columns = np.mgrid[:count, :count].reshape(2, -1)
        grids.append(np.stack([columns, rows, np.full_like(rows, stride)], axis=1))
    return np.concatenate(grids).astype(np.float32)


def _corners(
    upper_left: npt.NDArray[np.floating[Any]], lower_right: npt.NDArray[np.floating[Any]], side: int
) -> Array:
    """Pixels of the square as shares of it."""
    return np.asarray(np.hstack([upper_left, lower_right]) / side, dtype=np.float32)


def _only(outputs: Outputs, rows: int | None, least_columns: int) -> Array:
    """The rows of the one output, of which all must be numbers."""
    if len(outputs) != 1:
        raise LayoutError(f"{len(outputs)} outputs, not 1")
    shape = outputs[0].shape
    wanted = f"(1, {rows or 'any'}, {least_columns} or more)"
    if len(shape) != 3 or shape[0] != 1 or shape[2] < least_columns:
        raise LayoutError(f"an output of {shape}, not {wanted}")
    if rows is not None and shape[1] != rows:
        raise LayoutError(f"an output of {shape}, not {wanted}")
    if not np.isfinite(outputs[0]).all():
        raise LayoutError("the output holds what is no number")
    rows_of_one: Array = outputs[0][0]
    return rows_of_one


def _scores(values: Array) -> Array:
    """Shares; anything else was not meant as scores, so that it is another layout."""
    if values.size and not -0.01 <= values.min() <= values.max() <= 1.01:
        raise LayoutError("the scores are not from 0 to 1")
    return values
