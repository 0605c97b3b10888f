"""What the agent found out by itself is still known after a restart."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from edge_agent.runtime.camera_memory import CameraMemory
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision.frames import Frame
from edge_agent.vision.scene import ZONES, draw
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)


def make_pipeline() -> DeskPipeline:
    numbers = itertools.count(1)
    return DeskPipeline("camera", {DeskId("desk"): ZONES[:1]}, lambda: UUID(int=next(numbers)))


def test_a_reference_that_nobody_vouched_for_is_kept(tmp_path: Path) -> None:
    pipeline = make_pipeline()
    memory = CameraMemory(tmp_path, "camera", pipeline)
    for number in range(150):
        at = START + timedelta(seconds=number / 2)
        pipeline.observe(Frame(draw(1, number / 2), at))
        memory.save_when_due(at)
    assert pipeline.is_calibrated
    successor = make_pipeline()
    CameraMemory(tmp_path, "camera", successor).restore()
    assert successor.is_calibrated
