"""Nothing that the agent keeps of its pictures shows anybody: no face, no crop, no descriptor."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import cv2
import numpy as np

from edge_agent.core.zone_tracker import ZoneMemory
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision.frames import Frame, to_working_picture
from edge_agent.vision.scene import ZONES, draw, truth_at
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
DESK = DeskId("desk")


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
