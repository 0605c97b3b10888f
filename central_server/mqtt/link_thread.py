"""What the connections of both protocols share: one thread, which connects again by itself."""

import random
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog

from central_server.mqtt.broker_link import Delivery
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, topic_of

_log = structlog.get_logger()

FIRST_RETRY_S, LAST_RETRY_S = 1.0, 5.0
HANDED_ON_AT_ONCE = 20  # messages


class LinkThread(ABC):
    """A `BrokerLink`. The thread alone touches the connection; it is woken for what others want.

    `take` gets what was read, in that thread.
    """

    def __init__(
        self,
        name: str,
        *,
        take: Callable[[Sequence[Delivery]], None],
        now: Callable[[], datetime],
    ) -> None:
        self.linked_since: datetime | None = None
        self._take, self._now = take, now
        self._link = 0  # how many connections there were, with this one
        self._retry_s = FIRST_RETRY_S
        self._read: list[Delivery] = []
        self._done: deque[Delivery] = deque()
        self._outgoing: deque[tuple[str, bytes]] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Connects in the background, and again whenever the link breaks."""
        self._thread.start()

    def stop(self) -> None:
        """Closes the link; what was not acknowledged is delivered again, to whom it may be."""
        self._stopping.set()
        self._wake()
        self._thread.join()

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Tells the broker that these messages are done with."""
        self._done.extend(deliveries)
        self._wake()

    def publish(self, messages: Iterable[tuple[DeviceId, Channel, bytes]]) -> None:
        """Sends to devices at QoS 1; while the link is down it waits in memory."""
        self._outgoing.extend((topic_of(device, of), payload) for device, of, payload in messages)
        self._wake()

    @abstractmethod
    def _wake(self) -> None:
        """Makes the thread look for what is to be sent. Any thread."""

    # --- all below runs in the network's thread --------------------------------------------------

    @abstractmethod
    def _serve(self) -> None:
        """One connection, until it breaks or we are to stop; a broker that is away is no error.

        Whatever happens, the connection is closed in the end.
        """

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._link += 1
            try:
                self._serve()
            except Exception:  # noqa: BLE001 - the thread's outermost loop: it must go on
                _log.exception("link failed")
                self.linked_since = None
                self._read.clear()  # it comes again
            # Half of it by chance: several workers shall not all come back at once.
            self._stopping.wait(self._retry_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)

    def _note_link(self, **where: object) -> None:
        """The broker has let us in."""
        self.linked_since, self._retry_s = self._now(), FIRST_RETRY_S
        _log.info("linked to broker", **where)

    def _note_read(self, delivery: Delivery) -> None:
        self._read.append(delivery)
        if len(self._read) == HANDED_ON_AT_ONCE:  # there may be thousands to read in one go
            self._hand_on()

    def _hand_on(self) -> None:
        if self._read:
            read, self._read = self._read, []
            self._take(read)
