"""Projects streams that grew, apart from the thread that commits, so that receipts never wait."""

import threading
import time
from collections.abc import Callable, Iterable

import structlog

from central_server.services.context import ServerContext
from central_server.storage import streams
from central_server.storage.streams import Stream

_log = structlog.get_logger()

RETRY_S = 2.0


class ProjectionThread:
    """Collects streams while a run is under way; the next run takes all of them at once.

    `count` is told how many seconds each run took, and whether it failed.
    """

    def __init__(
        self,
        context: ServerContext,
        project: Callable[[Iterable[Stream]], None],
        count: Callable[[float, bool], None],
    ) -> None:
        self._context, self._project, self._count = context, project, count
        self._grown: set[Stream] = set()
        self._has_work = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="projection", daemon=True)

    def start(self) -> None:
        """Begins with what an earlier process left unprojected."""
        self.add_behind()
        self._thread.start()

    def stop(self) -> None:
        """Returns once the run under way has ended; the rest is found at the next start."""
        self._stopping.set()
        with self._has_work:
            self._has_work.notify()
        self._thread.join()

    def add(self, grown: Iterable[Stream]) -> None:
        """These have new events. Any thread."""
        with self._has_work:
            self._grown.update(grown)
            self._has_work.notify()

    def add_behind(self) -> None:
        """Looks for what was received and is not projected."""
        with self._context.database.reading() as db:
            self.add(streams.list_unprojected(db))

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._has_work:
                self._has_work.wait_for(lambda: self._grown or self._stopping.is_set())
                grown, self._grown = self._grown, set()
            failed = self._project_all(sorted(grown))
            if failed:
                self._stopping.wait(RETRY_S)
                self.add(failed)

    def _project_all(self, grown: list[Stream]) -> list[Stream]:
        """Those that failed; one that can't be projected must not hold back the others."""
        if self._try(grown):
            return []
        return [stream for stream in grown if len(grown) == 1 or not self._try([stream])]

    def _try(self, grown: list[Stream]) -> bool:
        began, is_done = time.monotonic(), True
        try:
            self._project(grown)
        except Exception:  # noqa: BLE001 - a thread's outermost loop: the stream is tried again
            _log.exception("projection failed", streams=len(grown))
            is_done = False
        self._count(time.monotonic() - began, not is_done)
        return is_done
