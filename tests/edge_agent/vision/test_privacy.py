"""Nobody can be known by what leaves the box: marked areas are gone, and so are faces."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from edge_agent.vision.face_detector import load_face_detector
from edge_agent.vision.frames import Image
from edge_agent.vision.privacy import COVER_FOR, LOOK_EVERY, Privacy

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def person(testdata: Path) -> Image:
    """Somebody who looks into the camera."""
    with av.open(str(testdata / "video" / "asl_yes.mkv")) as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)


def noise(height: int, width: int) -> Image:
    """A picture in which every pixel differs."""
    return np.random.default_rng(1).integers(1, 255, (height, width, 3)).astype(np.uint8)


def test_masks_are_black_and_nothing_else_changes() -> None:
    image = noise(180, 320)
    before = image.copy()
    shown = Privacy([[(0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)]], None).hide(image, AT)
    assert (shown[:90, :160] == 0).all()
    assert (shown[92:] == image[92:]).all()
    assert (shown[:, 162:] == image[:, 162:]).all()
    assert (image == before).all()


def test_a_face_is_found_and_can_not_be_found_again(person: Image) -> None:
    detector = load_face_detector()
    assert detector is not None
    face = min(detector.find(person), key=lambda box: box.top)  # the topmost is his head
    shown = Privacy([], detector).hide(person, AT)
    height, width = person.shape[:2]
    inside = np.s_[
        round(face.top * height) : round(face.bottom * height),
        round(face.left * width) : round(face.right * width),
    ]
    changes = np.abs(np.diff(shown[inside].astype(int), axis=1)).max()
    assert changes < np.abs(np.diff(person[inside].astype(int), axis=1)).max() / 4
    assert detector.find(shown[inside]) == []


def test_a_face_stays_covered_while_it_is_not_found(person: Image) -> None:
    privacy = Privacy([], load_face_detector())
    privacy.hide(person, AT)
    other = noise(*person.shape[:2])

    def is_covering(at: datetime) -> bool:
        return bool((privacy.hide(other, at) != other).any())

    assert is_covering(AT + LOOK_EVERY / 2)
    assert is_covering(AT + LOOK_EVERY)
    assert is_covering(AT + COVER_FOR - timedelta(milliseconds=1))
    assert not is_covering(AT + COVER_FOR + LOOK_EVERY)


def test_a_pause_says_from_when_to_when() -> None:
    privacy = Privacy([], None)
    pause = privacy.draw_pause(640, 360, AT, AT + timedelta(seconds=9))
    other = privacy.draw_pause(640, 360, AT, AT + timedelta(seconds=8))
    assert pause.shape == (360, 640, 3)
    assert (pause != pause[0, 0]).any()
    assert (pause != other).any()
