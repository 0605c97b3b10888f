"""What the edge has to say before it has a number: the outbox makes events of statements."""

from dataclasses import dataclass
from datetime import datetime

from event_protocol.events import EventData
from event_protocol.names import DeskId


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing observed at a desk (`None`: about the device), `at` being the frame's UTC time.

    `sealed` is the ciphertext of feedback; everything else the event says stands in `data`.
    """

    desk: DeskId | None
    at: datetime
    data: EventData
    sealed: str | None = None
