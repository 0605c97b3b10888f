"""What a desk's camera would state of given spans of time, as the agent states it. Pure.

Statements come at the start, at each change (a moment after it, as the agent's hysteresis has it)
and every five minutes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID, uuid5

from central_server.simulation.visits import Span, Visit
from event_protocol.events import (
    CameraObserved,
    CameraState,
    PresenceObserved,
    PresenceState,
    QueueBand,
    QueueObserved,
    ZoneRole,
)

NOTICED_AFTER = {
    PresenceState.OCCUPIED: timedelta(seconds=1),
    PresenceState.EMPTY: timedelta(seconds=1.5),
    PresenceState.UNKNOWN: timedelta(),
}
REPEAT_EVERY = timedelta(minutes=5)
RESUME_WITHIN = timedelta(seconds=60)  # unseen for longer, and somebody else may sit there
CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class Stay:
    """Somebody in a zone; `session_id` for a citizen's."""

    span: Span
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Unseen:
    """The camera could not be trusted, and why."""

    span: Span
    state: CameraState


@dataclass(frozen=True, slots=True)
class _Segment:
    begin: datetime
    end: datetime
    state: PresenceState
    session_id: UUID | None


def observe_zone(
    random: Random,
    zone: str,
    role: ZoneRole,
    stays: Sequence[Stay],
    unseen: Sequence[Unseen],
    running: Span,
) -> Iterator[tuple[datetime, PresenceObserved]]:
    """The statements on one zone while the agent runs, each with the time at which it is made."""
    before = PresenceState.UNKNOWN
    for segment in _segments(stays, unseen, running):
        at = segment.begin + NOTICED_AFTER[segment.state]
        share: float = int(before is not PresenceState.UNKNOWN)
        while at < segment.end:
            is_known = segment.state is not PresenceState.UNKNOWN
            yield (
                at,
                PresenceObserved(
                    zone=zone,
                    role=role,
                    state=segment.state,
                    since=segment.begin,
                    confidence=round(random.uniform(0.91, 0.99), 2) if is_known else 0,
                    observed_share=share,
                    session_id=segment.session_id,
                ),
            )
            share = int(is_known)
            at += REPEAT_EVERY
        before = segment.state


def _segments(stays: Sequence[Stay], unseen: Sequence[Unseen], running: Span) -> Iterator[_Segment]:
    """The zone's time cut where its state changes, without breaks, in order."""
    spans = [stay.span for stay in stays] + [gap.span for gap in unseen]
    cuts = {at for span in spans for at in (span.begin, span.end)}
    cuts = {at for at in cuts if running.begin < at < running.end} | {running.begin, running.end}
    last: _Segment | None = None
    resumed: dict[UUID, datetime] = {}  # when each stay was last seen
    for begin, end in pairwise(sorted(cuts)):
        state, session_id = _look(begin, stays, unseen)
        if session_id is not None:
            seen_at = resumed.get(session_id, begin)
            resumed[session_id] = end
            if begin - seen_at > RESUME_WITHIN:
                session_id = uuid5(session_id, begin.isoformat())
        if last is not None and (last.state, last.session_id) == (state, session_id):
            last = _Segment(last.begin, end, state, session_id)
            continue
        if last is not None:
            yield last
        last = _Segment(begin, end, state, session_id)
    if last is not None:
        yield last


def _look(
    at: datetime, stays: Sequence[Stay], unseen: Sequence[Unseen]
) -> tuple[PresenceState, UUID | None]:
    if any(gap.span.begin <= at < gap.span.end for gap in unseen):
        return PresenceState.UNKNOWN, None
    for stay in stays:
        if stay.span.begin <= at < stay.span.end:
            return PresenceState.OCCUPIED, stay.session_id
    return PresenceState.EMPTY, None


def observe_camera(
    unseen: Sequence[Unseen], running: Span
) -> Iterator[tuple[datetime, CameraObserved]]:
    """The statements on the camera: at the start and at each change."""
    changes = [(running.begin, CameraState.OK)]
    for gap in unseen:
        changes += [(gap.span.begin, gap.state), (gap.span.end, CameraState.OK)]
    for at, state in changes:
        if at < running.end:
            yield at, CameraObserved(camera=CAMERA, state=state, since=at)


def observe_queue(
    zone: str, visits: Sequence[Visit], unseen: Sequence[Unseen], running: Span
) -> Iterator[tuple[datetime, QueueObserved]]:
    """How many wait for the chair, at each change of the band that the camera can see."""
    steps = [(visit.arrived_at, 1) for visit in visits] + [(v.seat.begin, -1) for v in visits]
    waiting, shown = 0, QueueBand.NONE
    yield running.begin, QueueObserved(zone=zone, band=shown, since=running.begin, confidence=0.9)
    for at, step in sorted(steps):
        waiting += step
        band = (QueueBand.NONE, QueueBand.ONE, QueueBand.SEVERAL)[min(waiting, 2)]
        if band is shown or any(gap.span.begin <= at < gap.span.end for gap in unseen):
            continue
        shown = band
        yield at, QueueObserved(zone=zone, band=band, since=at, confidence=0.8)
