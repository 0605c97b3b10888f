"""What citizens say of a simulated visit: faces pressed at the kiosk, the phone. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import TypeVar

from central_server.simulation.habits import Habits, Mishap
from central_server.simulation.observations import Stay
from central_server.simulation.statements import Phoned, Said, random_id
from event_protocol.events import FeedbackAmended, FeedbackChannel, FeedbackSubmitted
from event_protocol.feedback import ComplaintReason, FeedbackContent, content_digest
from event_protocol.names import DeskId, to_milliseconds

TAPS_AFTER_S = (5, 50)  # after standing up
COMPLETES_AFTER_S = (8, 60)  # from the first tap to the chips under it
PHONES_AFTER_S = (60, 900)  # outside, with nobody looking on

T = TypeVar("T")


def press_faces(
    random: Random,
    desk: DeskId,
    habits: Habits,
    served: Sequence[Stay],
    mishaps: Sequence[Mishap],
) -> Iterator[Said]:
    """Faces pressed at the kiosk by some of those served, and the day's complaint if it has one."""
    complaining = random.choice(served) if Mishap.COMPLAINT in mishaps and served else None
    for stay in served:
        if stay is complaining:
            yield from _complain(random, desk, habits, stay)
        elif random.random() < habits.kiosk_share:
            yield _tap(random, desk, stay, _draw(random, habits.ratings))


def send_by_phone(
    random: Random,
    desk: DeskId,
    habits: Habits,
    served: Sequence[Stay],
    mishaps: Sequence[Mishap],
) -> Iterator[Phoned]:
    """Ratings by phone of some of those served, and the complaint nobody dares to press."""
    complaining = random.choice(served) if Mishap.PHONE_COMPLAINT in mishaps and served else None
    for stay in served:
        if stay is not complaining and random.random() >= habits.phone_share:
            continue
        rating = _draw(random, habits.ratings)
        reasons: tuple[ComplaintReason, ...] = ()
        if stay is complaining:
            rating, reasons = random.choice((1, 2)), (_draw(random, habits.reasons),)
        at = stay.span.end + timedelta(seconds=random.uniform(*PHONES_AFTER_S))
        nonce = random.randbytes(16).hex()
        yield Phoned(to_milliseconds(at), desk, rating, reasons, nonce)


def _draw(random: Random, weights: Mapping[T, float]) -> T:
    return random.choices(list(weights), list(weights.values()))[0]


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
    reason = _draw(random, habits.reasons)
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
