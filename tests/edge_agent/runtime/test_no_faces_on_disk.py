"""A whole box watches somebody who looks into its camera; then every byte of its disk is searched.

What shows people is sealed to the server, and shows the camera's whole picture: never a face cut
out of it, a list of numbers that describes one, or a picture in clear by which to know anybody.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from edge_agent.evidence.segment_file import decrypt, read_head
from edge_agent.vision.face_detector import FaceDetector, load_face_detector
from edge_agent.vision.frames import Image
from event_protocol.evidence_keys import unseal_key
from event_protocol.sealing import open_sealed, sealing_key_id
from tests.processes.edge_agent import DESK, SEALING_KEY, EdgeAgent
from tests.processes.ports import free_port, wait_until

pytestmark = pytest.mark.processes

WIDTH, HEIGHT, FPS = 640, 360, 10
# Played again and again: empty long enough for the alarm of the dark to be over.
EMPTY_S, SOMEBODY_S, DARK_S = 3, 3, 3.5
WHOLE = [[0.01, 0.01], [0.99, 0.01], [0.99, 0.99], [0.01, 0.99]]
SERVER_KEYS = {sealing_key_id(bytes(SEALING_KEY.public_key)): bytes(SEALING_KEY)}
IMAGE_MARKS = (b"\x89PNG\r\n", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb", b"\x93NUMPY", b"ftypisom")
# Everything that an agent's folder may hold; another name must be given its place here first.
IN_CLEAR = {
    "agent.lock",
    "device.key",
    "enrolment.json",
    "outbox.head.json",
    "outbox.reserve",
    "setup_pin.hash",
}
ROOMS = {"reference-room.png", "view-room.png"}
DATABASE = "outbox.sqlite"
LONGEST_PLAIN = 512  # bytes: a hash, a signature


def film(testdata: Path, target: Path, detector: FaceDetector) -> None:
    """An empty room, somebody who faces the camera, and then the light goes out."""
    dice = np.random.default_rng(1)
    rough = dice.integers(60, 200, (9, 16, 3)).astype(np.uint8)
    room = cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    with av.open(str(testdata / "video" / "asl_book.mkv")) as source:
        frames = [frame.to_ndarray(format="bgr24") for frame in source.decode(video=0)][::6]
    near = [np.asarray(frame[40:400, 60:540], np.uint8) for frame in frames]
    people = [picture for picture in near if detector.find(picture)]
    with av.open(str(target), "w") as container:
        track = container.add_stream("libx264", rate=FPS, options={"g": "10", "preset": "veryfast"})
        track.width, track.height, track.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(round((EMPTY_S + SOMEBODY_S + DARK_S) * FPS)):
            image = room.copy()
            second = number / FPS
            if EMPTY_S <= second < EMPTY_S + SOMEBODY_S:
                image[:, 80:560] = people[number % len(people)]
            image = image // 30 if second >= EMPTY_S + SOMEBODY_S else image
            noisy = np.clip(image + dice.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
            container.mux(track.encode(av.VideoFrame.from_ndarray(noisy, format="bgr24")))
        container.mux(track.encode())


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    found = load_face_detector()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def disk(testdata: Path, detector: FaceDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a box that saw it all, after its end."""
    folder = tmp_path_factory.mktemp("box")
    film(testdata, folder / "film.mp4", detector)
    camera = {
        "name": "room",
        "source": str(folder / "film.mp4"),
        "play_once": False,
        "empty": "0-1",
        "desks": [{"desk": DESK, "zones": {"seat": {"role": "citizen", "polygon": WHOLE}}}],
    }
    agent = EdgeAgent(folder, free_port(), [camera])
    agent.settings.write_text(agent.settings.read_text() + "confirmer: {layout: face}\n")
    with agent:
        wait_until(
            lambda: b'"is_confirmed": true' in read_all(agent.directory),
            60,
            "a face that confirms the stay",
        )
        wait_until(lambda: len(list(agent.directory.rglob("*-after.sealed"))) > 0, 60, "an alarm")
        wait_until(lambda: {path.name for path in agent.directory.iterdir()} >= ROOMS, 60, "a view")
    assert "confirmer_ready" in agent.output
    return agent.directory


def read_all(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob(f"{DATABASE}*"))


def to_image(content: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def is_whole(image: Image, layers: int = 1) -> bool:
    """The shape of the camera's picture: what is cut out of one has another."""
    height, width = image.shape[:2]
    return bool(abs(height / layers / width - HEIGHT / WIDTH) < 0.01)


def test_every_file_is_one_of_those_that_are_known(disk: Path) -> None:
    for path in disk.rglob("*"):
        is_known = path.name in IN_CLEAR | ROOMS or path.name.startswith(DATABASE)
        is_secret = path.parts[-2].startswith("faults-") or "evidence" in path.parts
        assert path.is_dir() or is_known or is_secret, path


def test_nothing_in_clear_hides_a_picture_or_an_array(disk: Path) -> None:
    for path in disk.rglob("*"):
        if path.is_file() and path.name not in ROOMS:
            content = path.read_bytes()
            assert not any(mark in content for mark in IMAGE_MARKS), path


def test_the_pictures_in_clear_show_the_whole_room_and_no_face(
    disk: Path, detector: FaceDetector
) -> None:
    for name in ROOMS:
        image = to_image((disk / name).read_bytes())
        assert any(is_whole(image, layers) for layers in (1, 2, 3)), image.shape
        assert detector.find(image) == []


def test_the_pictures_of_an_alarm_are_sealed_and_whole(disk: Path, detector: FaceDetector) -> None:
    sealed = list(disk.rglob("*.sealed"))
    images = [to_image(open_sealed(path.read_text(), SERVER_KEYS)) for path in sealed]
    assert all(is_whole(image) for image in images)
    assert any(detector.find(image) for image in images), "somebody was there before the light went"


def test_the_recordings_are_sealed_and_whole(disk: Path) -> None:
    segments = [path for path in (disk / "evidence" / "ring").rglob("*") if path.is_file()]
    assert segments
    for path in segments:
        content = path.read_bytes()
        key = unseal_key(read_head(content).key.sealed, SERVER_KEYS)
        mp4 = path.with_suffix(".opened")
        mp4.write_bytes(decrypt(content, bytes.fromhex(key.key)))
        with av.open(str(mp4)) as container:
            (track,) = container.streams.video
            assert len(container.streams) == 1
            assert (track.width, track.height) == (WIDTH, HEIGHT)
        mp4.unlink()


def test_the_database_holds_statements_and_no_description_of_anybody(disk: Path) -> None:
    values = list(stored_values(disk / DATABASE))
    assert any("is_confirmed" in str(value) for value in values)
    for value in values:
        text = value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")
        try:
            document = json.loads(text)
        except ValueError:
            assert len(value) <= LONGEST_PLAIN, text[:80]
        else:
            assert not list(find_lists_of_numbers(document)), text


def stored_values(database: Path) -> Iterator[str | bytes]:
    """Every text and blob of every table."""
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 - its own tables
                yield from (value for value in row if isinstance(value, str | bytes))


def find_lists_of_numbers(document: Any) -> Iterator[list[Any]]:
    """A face's description would be one, of a hundred numbers or more."""
    if isinstance(document, dict):
        for value in document.values():
            yield from find_lists_of_numbers(value)
    elif isinstance(document, list):
        if any(isinstance(value, int | float) for value in document):
            yield document
        for value in document:
            yield from find_lists_of_numbers(value)
