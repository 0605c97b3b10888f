"""A desk's minutes as lanes of states, from what its device said. Not knowing is a state.

Pure: events and a window in, segments out; nothing here knows how they are drawn.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from event_protocol.events import CameraObserved, Event, PresenceObserved, PresenceState

# Devices state each zone every five minutes; after half a minute more their silence says nothing.
SAID_AT_LEAST_EVERY = timedelta(seconds=330)


class Lane(StrEnum):
    """What a line of the timeline is about."""

    CITIZEN = "citizen"
    OFFICER = "officer"
    WAITING = "waiting"
    CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class Segment:
    """One state of a lane, from `begin` until just before `end`."""

    lane: Lane
    state: str  # occupied | empty | unknown, or a camera's state
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _Statement:
    lane: Lane
    state: str
    since: datetime


def draw_lanes(
    events: Iterable[Event], window_begin: datetime, window_end: datetime
) -> dict[Lane, list[Segment]]:
    """Each lane's segments over the whole window, without holes; a lane never spoken of is absent.

    `events` are one desk's, oldest first, and may begin before the window.
    """
    ordered = list(events)
    silences = _silences([event.time for event in ordered], window_begin, window_end)
    lanes: dict[Lane, list[_Statement]] = {}
    for event in ordered:
        statement = _statement(event)
        if statement is not None:
            lanes.setdefault(statement.lane, []).append(statement)
    return {
        lane: _with_silences(_segments(lanes[lane], window_begin, window_end), silences)
        for lane in Lane
        if lane in lanes
    }


def _statement(event: Event) -> _Statement | None:
    data = event.data
    if isinstance(data, PresenceObserved):
        return _Statement(Lane(data.role.value), data.state.value, data.since)
    if isinstance(data, CameraObserved):
        return _Statement(Lane.CAMERA, data.state.value, data.since)
    return None


def _segments(statements: list[_Statement], begin: datetime, end: datetime) -> list[Segment]:
    """A statement holds from its `since` until the next; before the first, nothing is known."""
    lane = statements[0].lane
    found = [Segment(lane, PresenceState.UNKNOWN.value, begin, end)]
    for statement in statements:
        since = max(statement.since, begin)
        if since >= end or statement.state == found[-1].state:
            continue
        # A later statement may reach back behind an earlier one; it knows better.
        while found and found[-1].begin >= since:
            found.pop()
        if found:
            found[-1] = replace(found[-1], end=since)
        if found and found[-1].state == statement.state:
            found[-1] = replace(found[-1], end=end)
        else:
            found.append(Segment(lane, statement.state, since, end))
    return found


def _silences(
    times: list[datetime], begin: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """Where the device said nothing of the desk for longer than it may."""
    found = []
    for heard, heard_next in zip(times, [*times[1:], end], strict=True):
        quiet_from = max(heard + SAID_AT_LEAST_EVERY, begin)
        quiet_until = min(heard_next, end)
        if quiet_from < quiet_until:
            found.append((quiet_from, quiet_until))
    return found


def _with_silences(
    segments: list[Segment], silences: list[tuple[datetime, datetime]]
) -> list[Segment]:
    """The segments, with unknown cut into them where nothing was heard."""
    for quiet_from, quiet_until in silences:
        pieces: list[Segment] = []
        for segment in segments:
            before = replace(segment, end=min(segment.end, quiet_from))
            after = replace(segment, begin=max(segment.begin, quiet_until))
            within = Segment(
                segment.lane,
                PresenceState.UNKNOWN.value,
                max(segment.begin, quiet_from),
                min(segment.end, quiet_until),
            )
            pieces += [piece for piece in (before, within, after) if piece.begin < piece.end]
        segments = pieces
    return segments
