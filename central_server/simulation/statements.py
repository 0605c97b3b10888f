"""What is said of a simulated desk, before it has a number: by its agent or by a phone."""

from dataclasses import dataclass
from datetime import datetime
from random import Random
from uuid import UUID

from event_protocol.events import EventData
from event_protocol.feedback import ComplaintReason, FeedbackContent
from event_protocol.names import DeskId


@dataclass(frozen=True, slots=True)
class Said:
    """One statement of an agent; `content` is what a feedback event carries sealed.

    `event_id` is set where another statement refers to it.
    """

    at: datetime
    desk: DeskId | None
    data: EventData
    content: FeedbackContent | None = None
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Phoned:
    """One rating by phone; `nonce` makes its form count once, however often it is sent."""

    at: datetime
    desk: DeskId
    rating: int
    reasons: tuple[ComplaintReason, ...]
    nonce: str


def random_id(random: Random) -> UUID:
    """A UUIDv4 of the given source, so that a seed gives the same ids again."""
    return UUID(int=random.getrandbits(128), version=4)
