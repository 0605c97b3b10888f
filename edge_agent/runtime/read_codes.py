"""`edge-agent read-qr`: the codes of still images."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cv2.typing import MatLike

from edge_agent.vision.frames import Image
from edge_agent.vision.qr_reader import read_thoroughly


@dataclass(frozen=True, slots=True)
class ImageCodes:
    """What one image holds, or why it can't be read."""

    image: Path
    texts: tuple[str, ...]
    error: str | None = None

    def to_json(self) -> str:
        """One line; `error` only if there is one."""
        line: dict[str, object] = {"image": str(self.image), "texts": self.texts}
        if self.error is not None:
            line["error"] = self.error
        return json.dumps(line)  # ASCII: a file's name need not be text in any encoding


def read_images(images: Iterable[Path]) -> Iterator[ImageCodes]:
    """One answer for each image, in order; an unreadable one does not stop the others."""
    for path in images:
        picture = _load(path)
        if isinstance(picture, str):
            yield ImageCodes(path, (), picture)
        else:
            yield ImageCodes(path, tuple(code.text for code in read_thoroughly(picture)))


def _load(path: Path) -> Image | str:
    """The picture on white where it is transparent, or what is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if not content:
        return "the file is empty (0 bytes)"
    buffer = np.frombuffer(content, np.uint8)
    try:
        picture = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
        if picture is not None and not _has_alpha(picture):
            # Decoded again, because only this turns it upright and into eight bits of colour.
            picture = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None:
        return "not an image, or a damaged one"
    return np.asarray(_on_white(picture) if _has_alpha(picture) else picture, dtype=np.uint8)


def _has_alpha(picture: MatLike) -> bool:
    return picture.ndim == 3 and picture.shape[2] == 4


def _on_white(picture: MatLike) -> MatLike:
    """Codes drawn black on nothing would be black on black without their transparency."""
    full = 65535 if picture.dtype == np.uint16 else 255
    alpha = picture[:, :, 3:] / full
    return 255 * (picture[:, :, :3] / full * alpha + 1 - alpha)
