"""The order of the lines: by the time they speak of, not by when it was said."""

import io
import itertools
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from edge_agent.core.codes import CardRating
from edge_agent.core.statements import Statement
from edge_agent.runtime.analysis_lines import DESK, START, LineWriter
from event_protocol.events import (
    CameraObserved,
    CameraState,
    PresenceObserved,
    PresenceState,
    SlipScanned,
    ZoneRole,
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def camera(said_at: float, state: CameraState, since: float) -> Statement:
    return Statement(DESK, at(said_at), CameraObserved(camera="c", state=state, since=at(since)))


def presence(said_at: float, zone: str, state: PresenceState, since: float) -> Statement:
    data = PresenceObserved(
        zone=zone,
        role=ZoneRole.CITIZEN,
        state=state,
        since=at(since),
        confidence=1,
        observed_share=1,
    )
    return Statement(DESK, at(said_at), data)


class Written:
    def __init__(self) -> None:
        self.output = io.StringIO()
        ids = (UUID(int=number) for number in itertools.count(1))
        self.writer = LineWriter(self.output, lambda: next(ids))

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.getvalue().splitlines()]

    @property
    def states(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "event" not in line]


def test_what_is_said_later_but_applies_earlier_comes_first() -> None:
    written = Written()
    written.writer.take([presence(6, "a", PresenceState.UNKNOWN, 6)])
    written.writer.write_until(at(5))
    assert written.lines == []
    written.writer.take([presence(7, "b", PresenceState.OCCUPIED, 5.5)])
    written.writer.write_until(at(7))
    assert written.states == [
        {"t": 5.5, "zone": "b", "state": "occupied"},
        {"t": 6.0, "zone": "a", "state": "unknown"},
    ]
    events = [line["event"] for line in written.lines if "event" in line]
    assert [(e["sequence"], e["data"]["zone"]) for e in events] == [(1, "b"), (2, "a")]


def test_what_is_only_said_again_is_an_event_of_its_own_time_and_no_change() -> None:
    written = Written()
    written.writer.take([presence(1, "a", PresenceState.EMPTY, 0)])
    written.writer.take([presence(301, "a", PresenceState.EMPTY, 0)])
    written.writer.write_all()
    assert [line["t"] for line in written.lines] == [0, 0, 301]
    assert written.states == [{"t": 0.0, "zone": "a", "state": "empty"}]


def test_camera_and_slips_have_their_lines_and_ratings_have_none() -> None:
    written = Written()
    ok = CameraObserved(camera="camera", state=CameraState.OK, since=at(0))
    written.writer.take([Statement(DESK, at(0), ok)])
    written.writer.take([CardRating(DESK, at(1), 5, None)])
    written.writer.take([Statement(DESK, at(2), SlipScanned(text="số 15"))])
    written.writer.write_all()
    assert written.states == [{"t": 0.0, "camera": "ok"}]
    kinds = [(line["t"], line["event"]["type"]) for line in written.lines if "event" in line]
    assert kinds == [(0, "onestop.camera.observed"), (2, "onestop.slip.scanned")]
    assert "rating" not in written.output.getvalue()


def test_a_span_without_pictures_is_an_event_and_unknown_presence_but_no_state_of_the_camera() -> (
    None
):
    written = Written()
    written.writer.take([camera(0, CameraState.OK, 0)])
    written.writer.take([camera(60, CameraState.LOST, 30)])
    written.writer.take([presence(60, "a", PresenceState.UNKNOWN, 30)])
    written.writer.take([camera(61, CameraState.OK, 60)])
    written.writer.take([camera(70, CameraState.COVERED, 65)])
    written.writer.write_all()
    assert written.states == [
        {"t": 0.0, "camera": "ok"},
        {"t": 30.0, "zone": "a", "state": "unknown"},
        {"t": 65.0, "camera": "covered"},
    ]
    events = [
        (line["t"], line["event"]["data"]["state"]) for line in written.lines if "event" in line
    ]
    assert (30, "lost") in events
    assert (61, "ok") in events
