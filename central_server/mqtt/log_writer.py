"""Stores batches of messages and has what they are projected, one batch after another.

Runs in the intake's own process or, as the server has it, in a process beside it: reading messages
and writing the log each want an interpreter of their own. While the database refuses, the batch is
kept and tried again.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from central_server.mqtt.projection_thread import ProjectionThread
from central_server.mqtt.writer_messages import (
    Batch,
    Failed,
    Listener,
    Outcome,
    Projected,
    Ready,
    Refusing,
    SetAside,
    Stored,
)
from central_server.services import device_links, device_receipts, ingest
from central_server.services.context import ServerContext
from central_server.services.device_receipts import Addressed
from central_server.services.filing import Filed
from central_server.storage.streams import Stream

_log = structlog.get_logger()

FIRST_RETRY_S, LAST_RETRY_S = 0.1, 5.0

T = TypeVar("T")
Project = Callable[[Iterable[Stream]], None]


class LogWriter:
    """A `Writer` with two threads of this process. `project`: `None` where others project."""

    def __init__(self, context: ServerContext, project: Project | None) -> None:
        self._context = context
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._projection = (
            None if project is None else ProjectionThread(context, project, self._on_projected)
        )

    def start(self, listener: Listener) -> None:
        """See `Writer`."""
        self._listener = listener
        if self._projection is not None:
            self._projection.start()
        self._thread.start()
        listener.on_news(Ready())

    def submit(self, batch: Batch) -> None:
        """See `Writer`."""
        self._batches.put(batch)

    def stop(self) -> None:
        """See `Writer`."""
        self._stopping.set()
        self._batches.put(None)
        self._thread.join()
        if self._projection is not None:
            self._projection.stop()

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None and not self._stopping.is_set():
            outcome: Outcome | None
            try:
                outcome = self._store(batch)
            except Exception:  # noqa: BLE001 - a thread's outermost loop
                _log.exception("batch failed", events=len(batch.events), news=len(batch.news))
                outcome = Failed()
            if outcome is not None:
                self._listener.on_outcome(batch, outcome)

    def _store(self, batch: Batch) -> Stored | None:
        """`None`: told to stop before the database took all of it."""
        receipts = self._until_stored(lambda: self._append(batch.events)) if batch.events else []
        online = self._until_stored(lambda: device_links.take(self._context, batch.news))
        if receipts is None or online is None:
            return None
        if self._projection is not None:
            self._projection.add((device, receipt.epoch) for device, receipt in receipts)
        return Stored(device_receipts.sign(self._context, receipts), online)

    def _until_stored(self, store: Callable[[], T]) -> T | None:
        """Tries again until the database takes it; `None` if told to stop before."""
        wait_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                return store()
            except OperationalError as error:  # locked, full, down: not the messages' fault
                reason = str(error.orig)
                _log.error("database refuses, trying again", reason=reason, wait_s=wait_s)
                self._listener.on_news(Refusing(reason))
                self._stopping.wait(wait_s)
                wait_s = min(2 * wait_s, LAST_RETRY_S)
        return None

    def _append(self, events: Sequence[Filed]) -> list[Addressed]:
        """Appends; a message that the database can't take is found by halving, and set aside."""
        try:
            return ingest.append_filed(self._context, events)
        except OperationalError:
            raise
        except SQLAlchemyError as error:
            if len(events) == 1:
                _log.error("a message can't be stored", kind=type(error).__name__)
                self._listener.on_news(SetAside())
                return ingest.set_aside(self._context, events[0], type(error).__name__)
            middle = len(events) // 2
            return self._append(events[:middle]) + self._append(events[middle:])

    def _on_projected(self, seconds: float, is_failure: bool) -> None:
        self._listener.on_news(Projected(seconds, is_failure))
