"""A camera's thread against a disk that is full, a camera that is gone and one that comes back."""

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from structlog.testing import capture_logs

from edge_agent.core.codes import CardRating
from edge_agent.core.statements import Statement
from edge_agent.delivery.outbox import Outbox
from edge_agent.runtime.camera_worker import CameraWorker
from edge_agent.runtime.desk_feedback import DeskFeedback
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.settings import CameraSettings, DeskSettings
from edge_agent.vision import scene
from edge_agent.vision.frames import Demand, Frame, SourceError
from event_protocol.codec import Accepted, decode_event
from event_protocol.events import (
    CameraObserved,
    CameraState,
    Event,
    FeedbackChannel,
    FeedbackSubmitted,
    ObservationsDropped,
)
from event_protocol.names import DeskId
from tests.processes.edge_agent import DESK, DEVICE, make_enrolment
from tests.processes.full_disk import no_file_grows_beyond
from tests.processes.ports import wait_until

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


class Room:
    """The drawn room, as fast as it is read, until the cable is pulled."""

    is_recording = False
    keeps_all = True

    def __init__(self) -> None:
        self.demand = Demand.ALL_FRAMES
        self.is_plugged = threading.Event()
        self.is_plugged.set()

    def frames(self) -> Iterator[Frame]:
        for number in range(10_000):
            if not self.is_plugged.is_set():
                raise SourceError("the cable is out")
            at_s = number / scene.FPS
            yield Frame(scene.draw(7, at_s), START + timedelta(seconds=at_s))


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path, DEVICE, lambda *_: "A" * 86 + "==", lambda: START) as opened:
        yield opened


@pytest.fixture
def feedback(outbox: Outbox) -> DeskFeedback:
    made = DeskFeedback(b"key", lambda _desk, _at: None)
    made.configure(make_enrolment(1).configuration, outbox)
    return made


def make_worker(
    room: Room, outbox: Outbox, feedback: DeskFeedback, folder: Path, max_held: int = 5000
) -> CameraWorker:
    settings = CameraSettings(name="room", source="scene:7", desks=(DeskSettings(desk=DESK),))
    pipeline = DeskPipeline("room", {DeskId(DESK): scene.ZONES}, uuid4)
    return CameraWorker(
        *(settings, pipeline, lambda: room, feedback.seal_card, lambda: feedback.sealing_key),
        *(outbox, folder, lambda: START),
        max_held=max_held,
    )


def events_of(outbox: Outbox) -> list[Event]:
    events = []
    for number, stored in enumerate(outbox.read(1, outbox.tip.sequence), 1):
        decoded = decode_event(DEVICE, stored.body)
        assert isinstance(decoded, Accepted)
        assert stored.sequence == number
        events.append(decoded.event)
    return events


def camera_states(outbox: Outbox) -> list[CameraState]:
    said = (event.data for event in events_of(outbox))
    return [data.state for data in said if isinstance(data, CameraObserved)]


def test_what_a_full_disk_refuses_is_held_and_stored_once_there_is_room(
    outbox: Outbox, feedback: DeskFeedback, tmp_path: Path
) -> None:
    worker = make_worker(Room(), outbox, feedback, tmp_path)
    with no_file_grows_beyond(0):
        worker.start()
        wait_until(lambda: worker.state is CameraState.OK, what="the camera is seen")
        assert outbox.depth == 0
    wait_until(lambda: outbox.depth > 3, 60, "held statements are stored")
    worker.stop()
    assert camera_states(outbox) == [CameraState.OK]


def test_what_does_not_fit_into_memory_either_is_said_to_be_lost(
    outbox: Outbox, feedback: DeskFeedback, tmp_path: Path
) -> None:
    worker = make_worker(Room(), outbox, feedback, tmp_path, max_held=3)
    with capture_logs() as said, no_file_grows_beyond(0):
        worker.start()
        wait_until(
            lambda: any(line["event"] == "observation_dropped" for line in said),
            60,
            "a loss is said",
        )
    wait_until(lambda: outbox.depth > 3, 60, "what is held is stored")
    worker.stop()
    told = events_of(outbox)[0].data
    assert isinstance(told, ObservationsDropped), "the loss is said before what could be kept"
    assert told.count >= max(line.get("count", 0) for line in said)


def test_after_a_fault_the_same_source_goes_on(
    outbox: Outbox, feedback: DeskFeedback, tmp_path: Path
) -> None:
    """A new one after each fault would leave a hanging thread behind each time."""
    opened = []

    class Faulty(Room):
        def frames(self) -> Iterator[Frame]:
            opened.append(self)
            yield Frame(np.empty((0, 0, 3), np.uint8), START)
            yield from super().frames()

    worker = make_worker(Faulty(), outbox, feedback, tmp_path)
    with capture_logs() as said:
        worker.start()
        wait_until(lambda: outbox.depth > 3, 60, "the watch goes on")
    worker.stop()
    assert [line["event"] for line in said].count("camera_thread_fault") == 1
    assert len(opened) == 1


def test_a_pulled_cable_is_lost_and_a_plugged_one_ok(
    outbox: Outbox, feedback: DeskFeedback, tmp_path: Path
) -> None:
    room = Room()
    worker = make_worker(room, outbox, feedback, tmp_path)
    worker.start()
    wait_until(lambda: worker.state is CameraState.OK, what="the camera is seen")
    assert worker.take_picture() is not None
    wait_until(lambda: worker.measure().fps > 0, what="the rate is measured")
    room.is_plugged.clear()
    wait_until(lambda: worker.state is CameraState.LOST, what="the camera is lost")
    assert worker.problem == "the cable is out"
    room.is_plugged.set()
    wait_until(lambda: worker.problem is None, 30, "pictures come again")
    worker.stop()
    assert camera_states(outbox)[:2] == [CameraState.OK, CameraState.LOST]


def test_a_restart_knows_when_a_stay_was_last_seen_though_nothing_was_said_since(
    outbox: Outbox, feedback: DeskFeedback, tmp_path: Path
) -> None:
    worker = make_worker(Room(), outbox, feedback, tmp_path)
    worker.start()

    def snapshot_is_newer_than_all_events() -> bool:
        said = max((event.time for event in events_of(outbox)), default=START)
        stored = outbox.read_snapshot("camera/room") or b""
        seen = re.findall(r'"last_at": "([^"]+)"', stored.decode())
        return bool(seen) and datetime.fromisoformat(min(seen)) > said + timedelta(seconds=9)

    wait_until(snapshot_is_newer_than_all_events, 60, "the trackers' state is stored by itself")
    worker.stop()


def test_a_card_is_sealed_before_it_is_a_statement(feedback: DeskFeedback) -> None:
    sealed = feedback.seal_card(CardRating(DeskId(DESK), START, 1, uuid4()))
    assert isinstance(sealed, Statement)
    assert isinstance(sealed.data, FeedbackSubmitted)
    assert sealed.data.channel is FeedbackChannel.CARD
    assert sealed.sealed is not None
    assert "rating" not in sealed.sealed
