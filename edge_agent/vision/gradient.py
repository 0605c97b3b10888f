"""The brightness gradient of a picture, whole or only where somebody asks for it."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np

from edge_agent.vision.frames import GreyPicture
from edge_agent.vision.windows import Window, holds, unite, widen, within


@dataclass(frozen=True)
class Gradient:
    """Brightness gradient by Sobel's operator; 8 is one grey level per pixel."""

    across: GreyPicture
    down: GreyPicture

    @classmethod
    def of(cls, picture: GreyPicture) -> "Gradient":
        """Both directions, of the same shape as the picture."""
        return cls(
            np.asarray(cv2.Sobel(picture, cv2.CV_32F, 1, 0), dtype=np.float32),
            np.asarray(cv2.Sobel(picture, cv2.CV_32F, 0, 1), dtype=np.float32),
        )

    def part(self, window: Window) -> "Gradient":
        """That of a part of the picture."""
        return Gradient(self.across[window], self.down[window])

    @cached_property
    def strength(self) -> GreyPicture:
        """Its length."""
        return np.asarray(cv2.magnitude(self.across, self.down), dtype=np.float32)


class LocalGradient:
    """`Gradient` of a picture of which most is asked for by nobody; for one thread only."""

    def __init__(self, picture: GreyPicture) -> None:
        self._picture = picture
        self._window: Window | None = None
        self._known: Gradient

    def part(self, window: Window) -> Gradient:
        """That of a part of the picture, the same as if all had been worked out."""
        if self._window is None or not holds(self._window, window):
            self._window = window if self._window is None else unite(self._window, window)
            wide = widen(self._window, 1, self._picture.shape)  # a gradient needs neighbours
            self._known = Gradient.of(self._picture[wide]).part(within(self._window, wide))
        return self._known.part(within(window, self._window))


Slopes: TypeAlias = Gradient | LocalGradient
