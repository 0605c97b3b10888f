from datetime import UTC, datetime

import av
import cv2
import numpy as np
import pytest

from edge_agent.vision.frames import Frame, to_fine, to_working_picture
from edge_agent.vision.scene import draw

AT = datetime(2030, 1, 1, tzinfo=UTC)
FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "gray", "rgb24", "yuyv422")


@pytest.mark.parametrize("kind", FORMATS)
def test_grey_is_the_same_by_whatever_way_it_comes(kind: str) -> None:
    """Video keeps black at 16; thresholds must not depend on how a camera's picture is coded."""
    image = draw(3, 40)
    image[:50, :50], image[:50, 50:100] = 0, 255
    picture = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=kind)
    expected = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(int)
    difference = np.abs(Frame(picture, AT).grey - expected)
    assert difference.mean() < 2
    assert difference[5:45, 5:95].max() < 4
    frame = Frame(picture, AT)
    colour = frame.image
    assert colour.shape == image.shape
    assert frame.image is colour, "converted once"
    assert np.abs(frame.grey - expected).mean() < 2
    fine = Frame(picture, AT).fine.astype(int)
    assert fine.shape == (180, 320)
    assert np.abs(fine - to_fine(frame.grey)).mean() < 2
    assert (frame.width, Frame(image, AT).width) == (image.shape[1], image.shape[1])


def test_an_array_is_a_picture_too() -> None:
    image = draw(3, 40)
    frame = Frame(image, AT)
    assert frame.image is image
    assert (frame.grey == cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)).all()


@pytest.mark.parametrize(
    ("size", "working"),
    [
        ((432, 768), (144, 256)),
        ((1080, 1920), (144, 256)),
        ((90, 160), (90, 160)),
        ((1, 1), (1, 1)),
        ((1, 2000), (1, 256)),
    ],
)
def test_large_images_shrink_to_the_working_width(
    size: tuple[int, int], working: tuple[int, int]
) -> None:
    image = np.full((*size, 3), 77, np.uint8)
    picture = to_working_picture(image)
    assert (to_working_picture(image[:, :, 0]) == picture).all()
    assert picture.shape == working
    assert picture.dtype == np.float32
    assert picture.mean() == pytest.approx(77, abs=1)
