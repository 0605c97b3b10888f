"""Faces are found as rectangles, in shares of the picture whatever its size; and no more."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_agent.vision.face_detector import DetectorError, FaceDetector, load_face_detector
from edge_agent.vision.frames import Image


@pytest.fixture(scope="module")
def person(testdata: Path) -> Image:
    """Somebody who looks into the camera, his head in the upper half of the picture's middle."""
    with av.open(str(testdata / "video" / "asl_yes.mkv")) as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    found = load_face_detector()
    assert found is not None, "OpenCV 4 brings a cascade"
    return found


def test_a_face_is_found_where_it_is_in_large_and_in_small(
    detector: FaceDetector, person: Image
) -> None:
    double = np.asarray(cv2.resize(person, None, fx=2, fy=2), np.uint8)
    for image in (person, double):
        head = min(detector.find(image), key=lambda box: box.top)
        x, y = head.middle
        assert 0.3 < x < 0.7
        assert y < 0.5
        assert head.left < x < head.right <= 1


def test_noise_has_no_face(detector: FaceDetector) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (180, 320, 3)).astype(np.uint8)
    assert detector.find(noise) == []


def test_a_file_that_is_no_detector_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "detector.xml"
    broken.write_text("<opencv_storage></opencv_storage>")
    for file in (broken, tmp_path / "missing.xml"):
        with pytest.raises(DetectorError, match=file.name):
            load_face_detector(file)
