"""Nothing that the agent keeps of its pictures shows anybody: no face, no crop, no descriptor."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import cv2
import numpy as np

from edge_agent.core.zone_tracker import ZoneMemory
from edge_agent.runtime.camera_memory import CameraMemory
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision.face_detector import load_face_detector
from edge_agent.vision.frames import Frame, Image, to_working_picture
from edge_agent.vision.scene import ZONES, draw, truth_at
from edge_agent.vision.video_file import VideoFile
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
DESK = DeskId("desk")


def to_image(png: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def test_what_outlives_the_frame_shows_the_empty_room_and_numbers_only() -> None:
    numbers = itertools.count(1)
    pipeline = DeskPipeline("camera", {DESK: ZONES}, lambda: UUID(int=next(numbers)))
    pipeline.calibrate(Frame(draw(1, second), START) for second in range(4))
    for second in range(5, 45):
        pipeline.observe(Frame(draw(1, second), START + timedelta(seconds=second)))
    assert truth_at(1, 44)["officer"], "somebody is there all the time"

    snapshot = json.loads(json.dumps(pipeline.snapshot()))
    for memory in snapshot[DESK].values():
        assert set(memory) <= set(ZoneMemory.model_fields)
        assert all(isinstance(value, str | float | int | None) for value in memory.values())
    reference = pipeline.export_reference()
    assert reference is not None
    kept = cv2.imdecode(np.frombuffer(reference, np.uint8), cv2.IMREAD_GRAYSCALE)
    empty = to_working_picture(draw(1, 2))
    somebody = to_working_picture(draw(1, 44))
    assert np.abs(np.asarray(kept, np.float32) - empty).max() < 15
    assert np.abs(somebody - empty).max() > 60


def test_a_view_that_was_learned_with_somebody_in_it_is_kept_without_the_face(
    testdata: Path, tmp_path: Path
) -> None:
    detector = load_face_detector()
    assert detector is not None
    frames = [f.image for f in VideoFile(testdata / "video" / "asl_book.mkv", START).frames()][::6]
    pipeline = DeskPipeline("camera", {DESK: ZONES}, lambda: UUID(int=1))
    memory = CameraMemory(tmp_path, "camera", pipeline)
    for number, image in enumerate(itertools.islice(itertools.cycle(frames), 60)):
        at = START + timedelta(seconds=number / 5)
        pipeline.observe(Frame(image, at))
        memory.save_when_due(at)

    (kept,) = tmp_path.iterdir()
    view = pipeline.export_view()
    assert view is not None
    assert detector.find(to_image(view))
    assert detector.find(to_image(kept.read_bytes())) == []
    pipeline.import_view(kept.read_bytes())
