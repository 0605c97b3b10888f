"""One desk's day as statements with their times: its visitors, its officer, its camera, its words.

Pure: the same random source gives the same statements.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import UUID

from central_server.simulation.habits import Habits, Mishap
from central_server.simulation.observations import (
    Stay,
    Unseen,
    observe_camera,
    observe_queue,
    observe_zone,
)
from central_server.simulation.visits import (
    Span,
    Visit,
    make_visits,
    minutes_between,
    officer_spans,
    somewhen,
    subtract,
)
from event_protocol.events import (
    CameraState,
    EventData,
    FeedbackAmended,
    FeedbackChannel,
    FeedbackSubmitted,
    SlipScanned,
    ZoneRole,
)
from event_protocol.feedback import FeedbackContent, content_digest
from event_protocol.names import DeskId, to_milliseconds

SLIP_SHARE = 0.3  # of visitors show an appointment slip
TAPS_AFTER_S = (5, 50)  # after standing up
COMPLETES_AFTER_S = (8, 60)  # from the first tap to the chips under it
IMPATIENT_MINUTES = (5.5, 7.5)


@dataclass(frozen=True, slots=True)
class Said:
    """One statement; `content` is what a feedback event carries sealed.

    `event_id` is set where another statement refers to it.
    """

    at: datetime
    desk: DeskId | None
    data: EventData
    content: FeedbackContent | None = None
    event_id: UUID | None = None


def random_id(random: Random) -> UUID:
    """A UUIDv4 of the given source, so that a seed gives the same ids again."""
    return UUID(int=random.getrandbits(128), version=4)


def make_day(
    random: Random, desk: DeskId, habits: Habits, opening: Sequence[Span], running: Span
) -> list[Said]:
    """All that the agent says of one desk on one day, in order of time.

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
    said += _rate(random, desk, habits, visits, sessions, mishaps)
    # A camera's state comes before what it makes of the zones at the same moment.
    return sorted(said, key=lambda one: one.at)


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


def _rate(
    random: Random,
    desk: DeskId,
    habits: Habits,
    visits: Sequence[Visit],
    sessions: Sequence[Stay],
    mishaps: Sequence[Mishap],
) -> Iterator[Said]:
    """Faces pressed at the kiosk by some of those served, and the day's complaint if it has one."""
    served = [stay for visit, stay in zip(visits, sessions, strict=True) if visit.was_served]
    complaining = random.choice(served) if Mishap.COMPLAINT in mishaps and served else None
    for stay in served:
        if stay is complaining:
            yield from _complain(random, desk, habits, stay)
        elif random.random() < habits.rating_share:
            (rating,) = random.choices(list(habits.ratings), list(habits.ratings.values()))
            yield _tap(random, desk, stay, rating)


def _tap(random: Random, desk: DeskId, stay: Stay, rating: int) -> Said:
    content = FeedbackContent(
        salt=random.randbytes(16).hex(),
        at=to_milliseconds(stay.span.end + timedelta(seconds=random.uniform(*TAPS_AFTER_S))),
        rating=rating,
        session_id=stay.session_id,
    )
    data = FeedbackSubmitted(channel=FeedbackChannel.KIOSK, digest=content_digest(content))
    return Said(content.at, desk, data, content, random_id(random))


def _complain(random: Random, desk: DeskId, habits: Habits, stay: Stay) -> Iterator[Said]:
    """A low face, and a moment later the reason for it."""
    rating = random.choice((1, 2))
    tap = _tap(random, desk, stay, rating)
    yield tap
    (reason,) = random.choices(list(habits.reasons), list(habits.reasons.values()))
    content = FeedbackContent(
        salt=random.randbytes(16).hex(),
        at=tap.at,
        rating=rating,
        reasons=(reason,),
        session_id=stay.session_id,
    )
    data = FeedbackAmended(
        channel=FeedbackChannel.KIOSK, digest=content_digest(content), amends=tap.event_id
    )
    at = to_milliseconds(tap.at + timedelta(seconds=random.uniform(*COMPLETES_AFTER_S)))
    yield Said(at, desk, data, content, random_id(random))
