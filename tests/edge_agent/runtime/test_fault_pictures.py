"""The pair of pictures of an alarm: what it shows, who can open it, how many there are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from nacl.public import PrivateKey
from structlog.testing import capture_logs

from edge_agent.runtime.fault_pictures import KEPT_ALARMS, FaultPictures, list_fault_pictures
from edge_agent.vision.frames import Frame
from event_protocol.events import CameraState
from event_protocol.sealing import open_sealed, sealing_key_id

AT = datetime(2026, 3, 2, 8, 0, 0, 250_000, tzinfo=UTC)
PRIVATE = PrivateKey.generate()
PUBLIC = bytes(PRIVATE.public_key)


def picture(level: int) -> Frame:
    return Frame(np.full((360, 640, 3), level, np.uint8), AT)


def opened(path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    jpeg = open_sealed(path.read_text(), {sealing_key_id(PUBLIC): bytes(PRIVATE)})
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(image, dtype=np.uint8)


@pytest.fixture
def faults(tmp_path: Path) -> FaultPictures:
    return FaultPictures(tmp_path, "room", lambda: PUBLIC)


def test_the_server_can_open_what_there_was_before_and_after(
    faults: FaultPictures, tmp_path: Path
) -> None:
    faults.note_good(picture(200))
    faults.keep(CameraState.COVERED, AT, picture(20))
    before, after = sorted(list_fault_pictures(tmp_path, "room"), key=lambda p: not p.is_before)
    assert (before.at, before.state, before.is_before) == (AT, CameraState.COVERED, True)
    assert (after.at, after.state, after.is_before) == (AT, CameraState.COVERED, False)
    assert opened(before.path).shape == (180, 320, 3)
    assert abs(int(opened(before.path).mean()) - 200) < 3
    assert abs(int(opened(after.path).mean()) - 20) < 3


def test_what_no_clip_may_show_is_black_here_too(tmp_path: Path) -> None:
    left_half = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    faults = FaultPictures(tmp_path, "room", lambda: PUBLIC, (left_half,))
    faults.keep(CameraState.MOVED, AT, picture(200))
    (kept,) = list_fault_pictures(tmp_path, "room")
    assert opened(kept.path)[:, :150].max() < 20
    assert opened(kept.path)[:, 170:].min() > 180


def test_nothing_at_the_box_shows_anybody(faults: FaultPictures, tmp_path: Path) -> None:
    faults.keep(CameraState.COVERED, AT, picture(20))
    (kept,) = list_fault_pictures(tmp_path, "room")
    assert b"JFIF" not in kept.path.read_bytes()
    assert kept.path.stat().st_mode & 0o077 == 0


def test_a_lost_camera_has_a_picture_before_only(faults: FaultPictures, tmp_path: Path) -> None:
    faults.note_good(picture(200))
    faults.keep(CameraState.LOST, AT, None)
    assert [p.is_before for p in list_fault_pictures(tmp_path, "room")] == [True]


def test_only_so_many_alarms_are_kept(faults: FaultPictures, tmp_path: Path) -> None:
    faults.note_good(picture(200))
    for minute in range(KEPT_ALARMS + 5):
        faults.keep(CameraState.DARK, AT + timedelta(minutes=minute), picture(5))
    kept = list(list_fault_pictures(tmp_path, "room"))
    assert len(kept) == 2 * KEPT_ALARMS
    assert min(p.at for p in kept) == AT + timedelta(minutes=5)


def test_other_files_are_no_pictures(faults: FaultPictures, tmp_path: Path) -> None:
    faults.keep(CameraState.DARK, AT, picture(5))
    (tmp_path / "faults-room" / "20260302T080000.250Z-sunny-after.sealed").touch()
    (tmp_path / "faults-room" / "notes.sealed").touch()
    assert len(list(list_fault_pictures(tmp_path, "room"))) == 1
    assert list(list_fault_pictures(tmp_path, "other")) == []


def test_a_folder_that_can_not_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "faults-room").touch()
    with capture_logs() as logs:
        FaultPictures(tmp_path, "room", lambda: PUBLIC).keep(CameraState.DARK, AT, picture(5))
    assert [entry["event"] for entry in logs] == ["fault_pictures_not_saved"]
