"""Nobody can be known by what leaves the box: marked areas are gone, and so are faces."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_agent.vision.frames import Image
from edge_agent.vision.privacy import (
    COVER_FOR,
    LOOK_EVERY,
    DetectorError,
    Privacy,
    load_face_detector,
)

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
    grey = cv2.cvtColor(person, cv2.COLOR_BGR2GRAY)
    faces = detector.detectMultiScale(grey, 1.1, 5, minSize=(40, 40))
    (left, top, width, height) = max(faces, key=lambda face: -face[1])  # the topmost is his head
    shown = Privacy([], detector).hide(person, AT)
    inside = np.s_[top : top + height, left : left + width]
    changes = np.abs(np.diff(shown[inside].astype(int), axis=1)).max()
    assert changes < np.abs(np.diff(person[inside].astype(int), axis=1)).max() / 4
    again = cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY)[inside]
    assert len(detector.detectMultiScale(again, 1.1, 3, minSize=(20, 20))) == 0


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


def test_a_detector_that_is_none_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "detector.xml"
    broken.write_text("<opencv_storage></opencv_storage>")
    for file in (broken, tmp_path / "missing.xml"):
        with pytest.raises(DetectorError, match=file.name):
            load_face_detector(file)


def test_a_pause_says_from_when_to_when() -> None:
    privacy = Privacy([], None)
    pause = privacy.draw_pause(640, 360, AT, AT + timedelta(seconds=9))
    other = privacy.draw_pause(640, 360, AT, AT + timedelta(seconds=8))
    assert pause.shape == (360, 640, 3)
    assert (pause != pause[0, 0]).any()
    assert (pause != other).any()
