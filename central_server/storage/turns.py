"""Whose turn it is to write into a SQLite file, among the threads and processes that want to.

SQLite lets who waits look again after sleeps that grow to 100 ms, so that one who writes all the
time keeps the others out. Here a process waits at the door, and who has just been inside must queue
behind it: it is let in after one transaction of each other process, whatever they do.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_EVERY_S = 0.001  # only while another process writes
DOOR, ROOM = ".door", ".room"  # files beside the database's; the kernel frees what the dead held


class Turns:
    """One process's way to the file; SQLite's own lock still guards who writes without asking."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._among_threads = threading.Lock()
        self._descriptors: dict[str, int] = {}

    @contextmanager
    def taken(self, within_s: float) -> Iterator[None]:
        """The calling thread's turn until it leaves; raises `TimeoutError`."""
        deadline = time.monotonic() + within_s
        if not self._among_threads.acquire(timeout=within_s):
            raise TimeoutError
        try:
            self._lock(DOOR, deadline)
            try:
                self._lock(ROOM, deadline)
            finally:
                self._unlock(DOOR)
            try:
                yield
            finally:
                self._unlock(ROOM)
        finally:
            self._among_threads.release()

    def close(self) -> None:
        """Gives the files back."""
        with self._among_threads:
            while self._descriptors:
                os.close(self._descriptors.popitem()[1])

    def _lock(self, name: str, deadline: float) -> None:
        descriptor = self._open(name)
        while True:
            with suppress(BlockingIOError):
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.monotonic() >= deadline:
                raise TimeoutError
            time.sleep(LOOK_EVERY_S)

    def _unlock(self, name: str) -> None:
        fcntl.flock(self._descriptors[name], fcntl.LOCK_UN)

    def _open(self, name: str) -> int:
        if name not in self._descriptors:
            path = self._file.with_name(self._file.name + name)
            self._descriptors[name] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        return self._descriptors[name]
