"""What a second opinion does to a camera's statements: on the drawn room, with its own zones."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from edge_agent.core.confirmation import Box
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision.frames import Frame
from edge_agent.vision.scene import HEIGHT, WIDTH, ZONES, draw
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
DESK, OTHER = DeskId("desk-1"), DeskId("desk-2")
CITIZEN, OFFICER, WAITING = ZONES
# Around somebody who stands in the citizens' place, who reaches into no other zone.
AT_THE_DESK = Box(240 / WIDTH, 120 / HEIGHT, 340 / WIDTH, 340 / HEIGHT)


def confirmed(pipeline: DeskPipeline) -> set[tuple[str, str]]:
    return {
        (desk, zone)
        for desk, zones in pipeline.snapshot().items()
        for zone, memory in zones.items()
        if memory["is_confirmed"]
    }


def watch(pipeline: DeskPipeline) -> Iterator[datetime]:
    """The room of seed 1, a picture each half second; whoever comes, comes to all places."""
    pipeline.calibrate(Frame(draw(1, second), START) for second in range(4))
    for number in itertools.count(10):
        at = START + timedelta(seconds=number / 2)
        pipeline.observe(Frame(draw(1, number / 2), at))
        yield at


def make_pipeline() -> DeskPipeline:
    ids = itertools.count(1)
    desks = {DESK: (CITIZEN, OFFICER), OTHER: (WAITING,)}
    return DeskPipeline("room", desks, lambda: UUID(int=next(ids)))


def test_one_picture_of_each_stay_is_wanted_and_confirms_the_zone_it_shows() -> None:
    pipeline = make_pipeline()
    looks = 0
    for at in itertools.islice(watch(pipeline), 120):
        if pipeline.wants_look:
            looks += 1
            pipeline.note_look()
            assert not pipeline.wants_look
            pipeline.confirm([AT_THE_DESK], at)
        if confirmed(pipeline):
            break
    assert 1 <= looks <= 3
    assert confirmed(pipeline) == {(DESK, CITIZEN.name)}


def test_nothing_is_wanted_of_a_camera_that_can_not_be_trusted() -> None:
    pipeline = make_pipeline()
    at = next(at for at in watch(pipeline) if pipeline.wants_look)
    pipeline.camera_lost(at, at)
    assert not pipeline.wants_look
