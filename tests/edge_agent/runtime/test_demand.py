"""When a camera's key frames are enough, and when more is asked for: the drawn room, act by act."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision import scene
from edge_agent.vision.frames import Demand, Frame
from event_protocol.names import DeskId

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
SEED, SECONDS = 7, 90


def test_more_than_key_frames_is_asked_for_while_a_citizen_is_there_or_something_changes() -> None:
    pipeline = DeskPipeline("camera", {DeskId("desk"): scene.ZONES}, uuid4)
    pipeline.calibrate_between(START, START + timedelta(seconds=scene.EMPTY_S))
    asked: dict[float, Demand] = {}
    for number in range(SECONDS * scene.FPS):
        at_s = number / scene.FPS
        at = START + timedelta(seconds=at_s)
        pipeline.observe(Frame(scene.draw(SEED, at_s), at))
        asked[at_s] = pipeline.demand_after(at)
    assert asked[2] is Demand.ALL_FRAMES, "while it calibrates"
    citizen_times, quiet_times = [], []
    for at_s, demand in asked.items():
        around = [scene.truth_at(SEED, at_s + step) for step in (-4.0, -2.0, 0.0, 2.0)]
        if all(zones["citizen"] for zones in around):
            citizen_times.append(demand)
        is_steady = at_s > scene.EMPTY_S + 4 and around.count(around[0]) == 4
        if is_steady and not around[0]["citizen"]:
            quiet_times.append(demand)
    assert set(citizen_times) == {Demand.ALL_FRAMES}
    assert len(quiet_times) > 50
    assert quiet_times.count(Demand.CHANGES) > 0.8 * len(quiet_times)
    assert Demand.KEY_FRAMES not in quiet_times, "they move now and then"


def test_a_camera_that_is_not_calibrated_is_watched_in_full() -> None:
    """A citizen may be there, and a card must be read all the same."""
    pipeline = DeskPipeline("camera", {DeskId("desk"): scene.ZONES}, uuid4)
    for number in range(50):
        at = START + timedelta(seconds=number / scene.FPS)
        pipeline.observe(Frame(scene.draw(SEED, 1 + number / scene.FPS), at))
    assert pipeline.demand_after(at) is Demand.ALL_FRAMES


def test_a_key_frame_that_was_passed_over_at_first_counts_as_if_it_had_not_been() -> None:
    """Somebody who came between two looks came when the one between them was taken."""
    told = []
    for is_late in (False, True):
        ids = map(UUID, (f"{number:032}" for number in range(100)))
        pipeline = DeskPipeline("camera", {DeskId("desk"): scene.ZONES}, ids.__next__)
        pipeline.calibrate([Frame(scene.draw(SEED, n / 10), START) for n in range(20)])
        said = []
        for at_s in range(0, 40, 2):
            earlier, later = (
                Frame(scene.draw(SEED, s), START + timedelta(seconds=s)) for s in (at_s, at_s + 1)
            )
            if is_late:
                later.before = earlier
            else:
                said += pipeline.observe(earlier)
            said += pipeline.observe(later)
        told.append(said)
    assert len(told[0]) > 3
    assert told[0] == told[1]
