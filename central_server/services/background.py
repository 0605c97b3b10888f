"""Threads that do one thing again and again until they are told to stop."""

import threading
from collections.abc import Callable
from typing import Self

import structlog

_log = structlog.get_logger()


class Repeating:
    """Runs `job` every `every_s` seconds in a thread of its own; a failure is logged, not fatal."""

    def __init__(self, name: str, every_s: float, job: Callable[[], object]) -> None:
        self._name, self._every_s, self._job = name, every_s, job
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Self:
        """Runs the job at once, and then at each interval."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Returns once the run under way has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._job()
            except Exception:  # noqa: BLE001 - a thread's outermost loop: the next run may succeed
                _log.exception("background job failed", job=self._name)
            self._stopping.wait(self._every_s)
