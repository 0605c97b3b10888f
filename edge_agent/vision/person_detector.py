"""Finds people in a picture with an ONNX model that the installer vouches for by its SHA-256."""

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_agent.core.confirmation import Box
from edge_agent.vision.face_detector import DetectorError
from edge_agent.vision.frames import Image
from edge_agent.vision.model_layouts import LAYOUTS, Layout, LayoutError


class PersonDetector:
    """A model run by OpenCV's own network engine. For one thread."""

    def __init__(self, network: Any, layout: Layout, side: int, person: int) -> None:
        self._network = network
        self._outputs = network.getUnconnectedOutLayersNames()
        self._layout = layout
        self._side = side
        self._person = person

    def find(self, image: Image) -> list[Box]:
        """The people in the picture; raises `DetectorError` if the model's answer is none."""
        try:
            self._network.setInput(self._layout.prepare(image, self._side))
            outputs = [np.asarray(o, np.float32) for o in self._network.forward(self._outputs)]
            found = self._layout.decode(outputs, self._side, self._person)
        except (cv2.error, LayoutError) as error:
            raise DetectorError(f"the model does not fit its layout: {_one_line(error)}") from error
        shares = self._layout.to_picture(found, image, self._side)
        return [Box(*map(float, row)) for row in shares]


def load_person_detector(
    file: Path, sha256: str, layout: str, side: int | None = None, person: int | None = None
) -> PersonDetector:
    """The model of `file`, whose bytes are only parsed if they have that hash.

    `layout`: a key of `LAYOUTS`, whose input size and class hold unless others are given. Raises
    `DetectorError`.
    """
    try:
        model = file.read_bytes()
    except OSError as error:
        raise DetectorError(f"{file}: {error.strerror}") from error
    found = hashlib.sha256(model).hexdigest()
    if found != sha256:
        raise DetectorError(f"{file}: its SHA-256 is {found}, not {sha256}")
    try:
        network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
    except cv2.error as error:
        raise DetectorError(f"{file}: OpenCV can't read it: {_one_line(error)}") from error
    kind = LAYOUTS[layout]
    return PersonDetector(
        network, kind, side or kind.side, kind.person if person is None else person
    )


def _one_line(error: Exception) -> str:
    """OpenCV's messages begin with its own version and source file."""
    text = getattr(error, "err", None) or str(error)
    return " ".join(str(text).split())
