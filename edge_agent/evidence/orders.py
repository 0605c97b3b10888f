"""The server's requests for pictures, kept until they are answered, and longer if it says `hold`.

On disk, so that a restart forgets none; what they ask for is held in the ring. Thread-safe: the
network's thread brings them, the answering thread works on them.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from edge_agent.evidence.ring import Ring
from event_protocol.events import WireModel
from event_protocol.evidence import Span
from event_protocol.messages import HandedKey, SendClip
from event_protocol.names import DeskId


class _Stored(WireModel):
    """An order as a file; keys are not kept: they are of this boot."""

    command: SendClip
    is_answered: bool


@dataclass(frozen=True, slots=True)
class Order:
    """One request as it was said last; `due` is by the monotonic clock.

    Equal if the server said the same: it says things again while a long clip is being made.
    """

    command: SendClip
    is_answered: bool = False
    boot_key: str | None = None
    keys: tuple[HandedKey, ...] = ()
    attempts: int = field(default=0, compare=False)
    due: float = field(default_factory=time.monotonic, compare=False)

    @property
    def span(self) -> Span:
        """Of when pictures are wanted."""
        begin, end = self.command.begin, self.command.end
        return Span(begin=min(begin, end), end=max(begin, end))


class OrderBook:
    """`write` puts a file on the disk whole; `camera_of` says which camera sees a desk."""

    def __init__(
        self,
        folder: Path,
        ring: Ring,
        camera_of: Callable[[DeskId], str | None],
        write: Callable[[Path, bytes], None],
    ) -> None:
        self._folder = folder
        self._ring = ring
        self._camera_of = camera_of
        self._write = write
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._orders: dict[str, Order] = {}
        for path in sorted(folder.glob("*.json")):
            self._load(path)

    def take(self, command: SendClip) -> None:
        """The server asks, or says again what it asked, perhaps otherwise or with keys."""
        with self._lock:
            plain = command.model_copy(update={"keys": (), "boot_key": None})
            order = Order(plain, boot_key=command.boot_key, keys=command.keys)
            self._orders[command.request_id] = order
            self._hold(order)
            self._store(order)

    def list_open(self) -> list[Order]:
        """Those that want an answer, in the order in which they are due."""
        with self._lock:
            wanted = [order for order in self._orders.values() if not order.is_answered]
        return sorted(wanted, key=lambda order: order.due)

    def postpone(self, order: Order, wait_s: float, attempts: int = 0) -> None:
        """Try again later, unless the server has said something new meanwhile."""
        with self._lock:
            if self._is_current(order):
                later = replace(order, attempts=attempts, due=time.monotonic() + wait_s)
                self._orders[order.command.request_id] = later

    def finish(self, order: Order) -> None:
        """It is answered; unless the server said something new meanwhile, only a hold remains."""
        with self._lock:
            if not self._is_current(order):
                return
            if order.command.hold:
                answered = replace(order, is_answered=True, keys=())
                self._orders[order.command.request_id] = answered
                self._store(answered)
            else:
                self._drop(order)

    def forget(self, order: Order) -> None:
        """The server knows nothing of it (any more)."""
        with self._lock:
            if self._is_current(order):
                self._drop(order)

    def _is_current(self, order: Order) -> bool:
        return self._orders.get(order.command.request_id) == order

    def _hold(self, order: Order) -> None:
        camera = self._camera_of(order.command.desk)
        if camera is not None:
            self._ring.hold(order.command.request_id, camera, order.span)

    def _store(self, order: Order) -> None:
        stored = _Stored(command=order.command, is_answered=order.is_answered)
        try:
            self._write(self._path(order), stored.model_dump_json().encode())
        except OSError:
            # It is in memory, and the server says it again; a line in the log would tell of it.
            return

    def _drop(self, order: Order) -> None:
        del self._orders[order.command.request_id]
        self._ring.release(order.command.request_id)
        self._path(order).unlink(missing_ok=True)

    def _path(self, order: Order) -> Path:
        return self._folder / f"{order.command.request_id}.json"

    def _load(self, path: Path) -> None:
        try:
            stored = _Stored.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return  # of another version, or damaged: the server says it again
        order = Order(stored.command, stored.is_answered)
        self._orders[stored.command.request_id] = order
        self._hold(order)
