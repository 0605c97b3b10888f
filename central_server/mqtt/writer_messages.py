"""What the intake and its log writer say to each other, in one process or through a pipe."""

import pickle  # both ends are this program
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from central_server.mqtt.broker_link import Delivery
from central_server.services.device_links import LinkNews
from central_server.services.device_receipts import Message
from central_server.services.filing import Filed, Incoming
from central_server.storage.events import StoredEvent
from central_server.storage.quarantine import Misfit
from central_server.storage.streams import Stream

END = b""  # instead of a batch: the writer is to end


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that are committed together; `deliveries` are their sender's own business."""

    events: Sequence[Filed]
    news: Sequence[LinkNews]
    deliveries: Sequence[Delivery] = ()
    at_hand: float = field(default_factory=time.monotonic)


class Stored(NamedTuple):
    """A batch is committed: its receipts, which may be sent now, and who came online."""

    receipts: Sequence[Message]
    online: Sequence[Stream]


class Failed(NamedTuple):
    """A fault of ours: nothing of the batch is acknowledged, so its devices send it again."""


class Refusing(NamedTuple):
    """The batch at hand is tried again: the database is locked, full or down."""

    reason: str


class Ready(NamedTuple):
    """It takes batches from now on."""


class SetAside(NamedTuple):
    """A message that the database does not take went to quarantine."""


class Projected(NamedTuple):
    """One run of the projector, successful or not."""

    seconds: float
    is_failure: bool


Outcome = Stored | Failed
News = Ready | Refusing | SetAside | Projected


class Listener(Protocol):
    """Who is told; by threads of the writer."""

    def on_outcome(self, batch: Batch, outcome: Outcome) -> None:
        """What became of that batch; in the order in which they were submitted."""

    def on_news(self, news: News) -> None:
        """What happened meanwhile."""


class Writer(Protocol):
    """Stores what is submitted, in that order."""

    def start(self, listener: Listener) -> None:
        """Begins; what was received and not projected is projected first."""

    def submit(self, batch: Batch) -> None:
        """Returns at once, mostly; callers see to it that only a few are under way."""

    def stop(self) -> None:
        """Returns when all has ended; a batch without an outcome was not stored."""


def pack(batch: Batch) -> bytes:
    """For another process; rows as plain tuples, which cost a quarter of what classes do."""
    events = [
        (message.topic, message.payload, *(entry if isinstance(entry, StoredEvent) else (entry,)))
        for message, entry in batch.events
    ]
    return pickle.dumps((events, batch.news), pickle.HIGHEST_PROTOCOL)


def unpack(packed: bytes) -> Batch:
    """What `pack` made; deliveries stayed where they were."""
    events, news = pickle.loads(packed)  # noqa: S301 - from the server, through our own pipe
    return Batch(
        [
            Filed(
                Incoming(topic, payload),
                entry[0] if isinstance(entry[0], Misfit) else StoredEvent._make(entry),
            )
            for topic, payload, *entry in events
        ],
        news,
    )
