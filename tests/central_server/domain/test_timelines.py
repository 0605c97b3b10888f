"""What a device said of its desk, as lanes: (minute, role, state) in, (state, from, until) out."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from central_server.domain.timelines import Lane, draw_lanes
from event_protocol.events import (
    CameraObserved,
    CameraObservedEvent,
    CameraState,
    Event,
    PresenceObserved,
    PresenceObservedEvent,
    PresenceState,
    QueueBand,
    QueueObserved,
    QueueObservedEvent,
    ZoneRole,
)
from event_protocol.names import NO_HASH

START = datetime(2026, 3, 18, 3, 0, tzinfo=UTC)
WINDOW = 20.0  # minutes


def _at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def _envelope(minute: float) -> dict[str, object]:
    return {
        "id": uuid4(),
        "source": "/devices/device-a",
        "subject": "desk-1",
        "time": _at(minute),
        "sequence": 1,
        "epoch": 1,
        "boot": 1,
        "prevhash": NO_HASH,
    }


def _said(minute: float, role: str, state: str, since: float | None = None) -> Event:
    begin = _at(minute if since is None else since)
    if role == "camera":
        data = CameraObserved(camera="c", state=CameraState(state), since=begin)
        return CameraObservedEvent.model_validate({**_envelope(minute), "data": data})
    presence = PresenceObserved(
        zone=role,
        role=ZoneRole(role),
        state=PresenceState(state),
        since=begin,
        confidence=1,
        observed_share=1,
    )
    return PresenceObservedEvent.model_validate({**_envelope(minute), "data": presence})


def _lane(events: list[Event], lane: Lane = Lane.CITIZEN) -> list[tuple[str, float, float]]:
    segments = draw_lanes(events, START, _at(WINDOW))[lane]
    return [
        (s.state, (s.begin - START).total_seconds() / 60, (s.end - START).total_seconds() / 60)
        for s in segments
    ]


HEARTBEATS = [_said(minute, "officer", "empty") for minute in range(0, 20, 5)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [_said(-2, "citizen", "empty"), _said(4, "citizen", "occupied")],
            [("empty", 0, 4), ("occupied", 4, 20)],
            id="holds from its since until the next",
        ),
        pytest.param(
            [_said(6, "citizen", "occupied")],
            [("unknown", 0, 6), ("occupied", 6, 20)],
            id="before the first statement nothing is known",
        ),
        pytest.param(
            [_said(-1, "citizen", "empty"), _said(8, "citizen", "occupied", since=7.5)],
            [("empty", 0, 7.5), ("occupied", 7.5, 20)],
            id="a change holds since it began, not since it was said",
        ),
        pytest.param(
            [_said(-3, "citizen", "empty"), _said(2, "citizen", "empty", since=-3)],
            [("empty", 0, 20)],
            id="said again is no change",
        ),
        pytest.param(
            [
                _said(-1, "citizen", "empty"),
                _said(5, "citizen", "occupied"),
                _said(6, "citizen", "unknown", since=4),
            ],
            [("empty", 0, 4), ("unknown", 4, 20)],
            id="a later statement reaches back behind an earlier one",
        ),
        pytest.param(
            [
                _said(-1, "citizen", "empty"),
                _said(5, "citizen", "occupied"),
                _said(6, "citizen", "empty", since=5),
            ],
            [("empty", 0, 20)],
            id="taken back whole",
        ),
        pytest.param(
            [_said(-1, "citizen", "empty"), _said(19, "citizen", "occupied", since=25)],
            [("empty", 0, 20)],
            id="what begins after the window is not drawn",
        ),
    ],
)
def test_statements_become_segments(
    events: list[Event], expected: list[tuple[str, float, float]]
) -> None:
    ordered = sorted([*events, *HEARTBEATS], key=lambda event: event.time)
    assert _lane(ordered) == expected


def test_a_device_that_falls_silent_leaves_unknown_not_the_last_value() -> None:
    events = [_said(-1, "citizen", "occupied"), _said(12, "citizen", "occupied")]
    assert _lane(events) == [
        ("occupied", 0, 4.5),
        ("unknown", 4.5, 12),
        ("occupied", 12, 17.5),
        ("unknown", 17.5, 20),
    ]


def test_the_camera_has_its_own_lane_and_queues_none() -> None:
    queue = QueueObserved(zone="hall", band=QueueBand.ONE, since=START, confidence=1)
    other = QueueObservedEvent.model_validate({**_envelope(3), "data": queue})
    events = [_said(-30, "camera", "ok"), *HEARTBEATS, _said(16, "camera", "covered"), other]
    ordered = sorted(events, key=lambda event: event.time)
    assert _lane(ordered, Lane.CAMERA) == [("ok", 0, 16), ("covered", 16, 20)]
    assert set(draw_lanes(ordered, START, _at(WINDOW))) == {Lane.OFFICER, Lane.CAMERA}
