"""What presence makes of a camera in doubt: it waits, and is unknown since the doubt began."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from edge_agent.core.statements import Statement
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision.frames import Frame, Image
from edge_agent.vision.scene import EMPTY_S, ZONES, draw
from edge_agent.vision.zone_observer import CalibrationError
from event_protocol.events import CameraObserved, PresenceObserved
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
SEED = 1
STEP_S = 0.5
DESK = DeskId("desk-1")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make_pipeline() -> DeskPipeline:
    numbers = itertools.count(1)
    return DeskPipeline("camera-1", {DESK: ZONES}, lambda: UUID(int=next(numbers)))


@pytest.fixture
def pipeline() -> DeskPipeline:
    made = make_pipeline()
    made.calibrate(Frame(draw(SEED, n / 4), at(n / 4)) for n in range(int(4 * EMPTY_S)))
    return made


Change = Callable[[Image], Image]


def play(
    pipeline: DeskPipeline, begin: float, end: float, change: Change = lambda image: image
) -> Iterator[tuple[str, float, str]]:
    """What is told of the camera and of the citizen's zone: what, since when, state."""
    for second in np.arange(begin, end, STEP_S):
        for said in pipeline.observe(Frame(change(draw(SEED, float(second))), at(float(second)))):
            assert isinstance(said, Statement)
            data = said.data
            if isinstance(data, CameraObserved):
                yield "camera", (data.since - START).total_seconds(), data.state.value
            elif isinstance(data, PresenceObserved) and data.zone == "citizen":
                yield "citizen", (data.since - START).total_seconds(), data.state.value


def hand(image: Image) -> Image:
    return np.full_like(image, 90)


def turned(image: Image) -> Image:
    return np.roll(image, 40, axis=1)


def test_a_hand_that_passes_the_lens_changes_nothing(pipeline: DeskPipeline) -> None:
    assert ("citizen", 30, "occupied") in list(play(pipeline, 30, 35))
    assert list(play(pipeline, 35, 37, hand)) == []
    assert not pipeline.is_camera_good
    assert pipeline.settled_until(at(36.5)) <= at(35), "it might still become a fault since then"
    assert list(play(pipeline, 37, 40)) == []
    assert pipeline.is_camera_good


def test_a_turned_camera_makes_presence_unknown_since_it_was_turned(
    pipeline: DeskPipeline,
) -> None:
    list(play(pipeline, 30, 35))
    told = list(play(pipeline, 35, 40, turned))
    assert told == [("camera", 35, "moved"), ("citizen", 35, "unknown")]
    assert list(play(pipeline, 40, 43)) == [("camera", 40, "ok"), ("citizen", 40, "occupied")]


def test_a_camera_that_was_turned_on_purpose_is_trusted_after_a_calibration(
    pipeline: DeskPipeline,
) -> None:
    list(play(pipeline, 0, 1))
    assert ("camera", 1, "moved") in list(play(pipeline, 1, 4, turned))
    pipeline.calibrate_between(at(4), at(7))
    assert ("camera", 4, "ok") in list(play(pipeline, 4, 7.5, turned))
    assert [state for what, _, state in play(pipeline, 7.5, 9, turned) if what == "camera"] == []


def test_the_view_outlives_a_restart(pipeline: DeskPipeline) -> None:
    view = pipeline.export_view()
    assert view is not None
    after = make_pipeline()
    assert after.export_view() is None
    after.import_view(view)
    assert ("camera", 5, "moved") in list(play(after, 5, 8, turned))
    with pytest.raises(CalibrationError, match="damaged"):
        after.import_view(b"no picture")
