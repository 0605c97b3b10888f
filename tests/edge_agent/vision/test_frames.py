import numpy as np
import pytest

from edge_agent.vision.frames import edge_strength, to_working_picture


@pytest.mark.parametrize(
    ("size", "working"),
    [
        ((432, 768), (144, 256)),
        ((1080, 1920), (144, 256)),
        ((90, 160), (90, 160)),
        ((1, 1), (1, 1)),
    ],
)
def test_large_images_shrink_to_the_working_width(
    size: tuple[int, int], working: tuple[int, int]
) -> None:
    picture = to_working_picture(np.full((*size, 3), 77, np.uint8))
    assert picture.shape == working
    assert picture.dtype == np.float32
    assert picture.mean() == pytest.approx(77, abs=1)


def test_eight_is_one_grey_level_a_pixel() -> None:
    slope = np.tile(np.arange(20, dtype=np.float32), (20, 1))
    assert edge_strength(slope)[5:15, 5:15] == pytest.approx(8)
