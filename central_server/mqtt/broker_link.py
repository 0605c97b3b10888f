"""What the intake needs of its connection to the broker, whichever protocol that speaks."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Protocol

from event_protocol.names import DeviceId
from event_protocol.topics import Channel


class Delivery(NamedTuple):
    """One message as the broker delivered it; the last three are for its acknowledgement."""

    topic: str
    payload: bytes
    retained: bool
    mid: int
    qos: int
    link: int  # on which connection: the same number means another message on the next


class BrokerLink(Protocol):
    """Hands on what it reads, unacknowledged; connects again by itself. All calls: any thread."""

    linked_since: datetime | None

    def start(self) -> None:
        """Connects in the background, and again whenever the link breaks."""

    def stop(self) -> None:
        """Closes the link; what was not acknowledged is delivered again, to whom it may be."""

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Tells the broker that these messages are done with; AMQP's takes it for all before."""

    def publish(self, messages: Iterable[tuple[DeviceId, Channel, bytes]]) -> None:
        """Sends to devices at QoS 1; while the link is down it waits in memory."""
