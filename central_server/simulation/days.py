"""One desk's day as statements with their times: its visitors, officer, camera and words.

Pure: the same random source gives the same statements.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random

from central_server.simulation.habits import Habits, Mishap
from central_server.simulation.observations import (
    Stay,
    Unseen,
    observe_camera,
    observe_queue,
    observe_zone,
)
from central_server.simulation.statements import Phoned, Said, random_id
from central_server.simulation.visits import (
    Span,
    Visit,
    make_visits,
    minutes_between,
    officer_spans,
    somewhen,
    subtract,
)
from central_server.simulation.words import press_faces, send_by_phone
from event_protocol.events import (
    CameraState,
    SlipScanned,
    ZoneRole,
)
from event_protocol.names import DeskId, to_milliseconds

SLIP_SHARE = 0.3  # of visitors show an appointment slip
IMPATIENT_MINUTES = (5.5, 7.5)


@dataclass(frozen=True, slots=True)
class DeskDay:
    """What the desk's agent said, in order of time, and what citizens sent by phone."""

    said: list[Said]
    phoned: list[Phoned]


def make_day(
    random: Random, desk: DeskId, habits: Habits, opening: Sequence[Span], running: Span
) -> DeskDay:
    """One desk on one day.

    `opening`: the desk's opening periods of that day, at least one; `running`: from the agent's
    start to its end.
    """
    mishaps = [kind for kind, share in habits.mishaps.items() if random.random() < share]
    random.shuffle(mishaps)
    mishaps = mishaps[: habits.at_most]
    officer = officer_spans(random, habits, opening, mishaps)
    visits = make_visits(random, habits, opening, officer)
    if Mishap.IMPATIENT_VISITOR in mishaps:
        officer, visits = _lose_patience(random, officer, visits)
    unseen = _unseen(random, habits, opening, mishaps)
    sessions = [Stay(visit.seat, random_id(random)) for visit in visits]
    said = [
        Said(to_milliseconds(at), desk, data)
        for statements in (
            observe_camera(unseen, running),
            observe_zone(random, "citizen", ZoneRole.CITIZEN, sessions, unseen, running),
            observe_zone(
                random, "officer", ZoneRole.OFFICER, list(map(Stay, officer)), unseen, running
            ),
            observe_queue("waiting", visits, unseen, running),
            _scan_slips(random, sessions),
        )
        for at, data in statements
    ]
    served = [stay for visit, stay in zip(visits, sessions, strict=True) if visit.was_served]
    said += press_faces(random, desk, habits, served, mishaps)
    # The sort is stable: a camera's state stays before what it makes of the zones at that moment.
    said.sort(key=lambda one: one.at)
    return DeskDay(said, list(send_by_phone(random, desk, habits, served, mishaps)))


def _lose_patience(
    random: Random, officer: list[Span], visits: list[Visit]
) -> tuple[list[Span], list[Visit]]:
    """One visitor sits down just as the officer has stepped out, and leaves before the return."""
    length = minutes_between(random, IMPATIENT_MINUTES)
    margin = timedelta(seconds=20)
    free = [
        number
        for number, (visit, following) in enumerate(pairwise(visits))
        if visit.seat.begin + length + 2 * margin < following.seat.begin
    ]
    if not free:
        return officer, visits
    chosen = random.choice(free)
    begin = visits[chosen].seat.begin
    seat = Span(begin, begin + length)
    hole = Span(seat.begin - margin, seat.end + margin)
    officer = [rest for present in officer for rest in subtract(present, hole)]
    changed = replace(visits[chosen], seat=seat, was_served=False)
    return officer, [*visits[:chosen], changed, *visits[chosen + 1 :]]


def _unseen(
    random: Random, habits: Habits, opening: Sequence[Span], mishaps: Sequence[Mishap]
) -> list[Unseen]:
    """When the camera could not be trusted, in order and without overlap."""
    kinds = (
        (Mishap.CAMERA_COVERED, CameraState.COVERED, habits.covered_minutes),
        (Mishap.CAMERA_LOST, CameraState.LOST, habits.lost_minutes),
    )
    unseen: list[Unseen] = []
    for mishap, state, minutes in kinds:
        span = somewhen(random, opening, minutes)
        if mishap in mishaps and not any(span.overlaps(other.span) for other in unseen):
            unseen.append(Unseen(span, state))
    return sorted(unseen, key=lambda gap: gap.span.begin)


def _scan_slips(random: Random, stays: Sequence[Stay]) -> Iterator[tuple[datetime, SlipScanned]]:
    for number, stay in enumerate(stays, 1):
        at = stay.span.begin + timedelta(seconds=random.uniform(10, 30))
        if random.random() < SLIP_SHARE and at < stay.span.end:
            text = f"HS-{stay.span.begin:%y%m%d}-{number:04d}"
            yield at, SlipScanned(text=text, session_id=stay.session_id)
