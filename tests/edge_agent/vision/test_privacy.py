"""Nobody can be known by what leaves the box: marked areas are gone, and so are faces."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from edge_agent.vision.face_detector import load_face_detector
from edge_agent.vision.frames import Image
from edge_agent.vision.privacy import COVER_BEFORE, COVER_FOR, LOOK_EVERY, Privacy

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def person(testdata: Path) -> Image:
    """Somebody who looks into the camera."""
    with av.open(str(testdata / "video" / "asl_yes.mkv")) as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)


def noise(height: int, width: int) -> Image:
    """A picture in which every pixel differs."""
    return np.random.default_rng(1).integers(1, 255, (height, width, 3)).astype(np.uint8)


def hide(privacy: Privacy, image: Image) -> Image:
    ((shown, _),) = privacy.hide([(image, AT)])
    return shown


def test_masks_are_black_and_nothing_else_changes() -> None:
    image = noise(180, 320)
    before = image.copy()
    shown = hide(Privacy([[(0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)]], None), image)
    assert (shown[:90, :160] == 0).all()
    assert (shown[92:] == image[92:]).all()
    assert (shown[:, 162:] == image[:, 162:]).all()
    assert (image == before).all()


def test_a_face_is_found_and_can_not_be_found_again(person: Image) -> None:
    detector = load_face_detector()
    assert detector is not None
    face = min(detector.find(person), key=lambda box: box.top)  # the topmost is his head
    shown = hide(Privacy([], detector), person)
    height, width = person.shape[:2]
    inside = np.s_[
        round(face.top * height) : round(face.bottom * height),
        round(face.left * width) : round(face.right * width),
    ]
    changes = np.abs(np.diff(shown[inside].astype(int), axis=1)).max()
    assert changes < np.abs(np.diff(person[inside].astype(int), axis=1)).max() / 4
    assert detector.find(shown[inside]) == []


def covered(script: Sequence[tuple[int, Image]], empty: Image) -> list[int]:
    """When, in milliseconds, something is hidden in pictures of the empty room."""
    pictures = [(image, AT + timedelta(milliseconds=at)) for at, image in script]
    shown = list(Privacy([], load_face_detector()).hide(pictures))
    assert [at for _, at in shown] == [at for _, at in pictures], "each, in its order"
    return [
        round((at - AT) / MILLISECOND)
        for (image, at), (original, _) in zip(shown, pictures, strict=True)
        if original is empty and (image != original).any()
    ]


def test_a_face_stays_covered_while_it_is_not_found(person: Image) -> None:
    other = noise(*person.shape[:2])
    script = [(0, person), *((at, other) for at in range(100, 2000, 100))]
    assert covered(script, other) == list(range(100, COVER_FOR // MILLISECOND, 100))


def test_a_face_is_covered_in_the_pictures_before_the_look_that_finds_it(person: Image) -> None:
    """It may have come just after the look before, and that look may have missed it."""
    other = noise(*person.shape[:2])
    looks = LOOK_EVERY // MILLISECOND
    script = [(at, other) for at in range(0, 5 * looks, 50)]
    script += [(at, person) for at in range(5 * looks, 6 * looks, 50)]
    begin = 5 * looks - COVER_BEFORE // MILLISECOND
    assert covered(script, other) == list(range(begin, 5 * looks, 50))


def test_no_more_pictures_wait_than_are_looked_ahead(person: Image) -> None:
    taken = 0

    def film() -> Iterator[tuple[Image, datetime]]:
        nonlocal taken
        for taken in range(100):
            yield person, AT + taken * 100 * MILLISECOND

    shown = Privacy([], load_face_detector()).hide(film())
    next(shown)
    assert taken == 6
    assert next(Privacy([], None).hide(film()))
    assert taken == 0, "nothing is waited for if nobody looks"


def test_a_pause_says_from_when_to_when() -> None:
    privacy = Privacy([], None)
    pause = privacy.draw_pause(640, 360, AT, AT + timedelta(seconds=9))
    other = privacy.draw_pause(640, 360, AT, AT + timedelta(seconds=8))
    assert pause.shape == (360, 640, 3)
    assert (pause != pause[0, 0]).any()
    assert (pause != other).any()
