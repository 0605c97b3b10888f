"""Which of two threads goes first, where both want the interpreter all the time.

Python takes its lock from a busy thread after five milliseconds only. A thread that writes to the
database gives the lock up at each row and may wait that long each time; one that reads from the
network can wait between any two messages instead, and loses nothing by it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_WAIT_S = 0.02  # the database may be locked for seconds, and the network's pings must go on


class RightOfWay:
    """One thread has it `taken`, or `lent` meanwhile; the other calls `give` between its steps."""

    def __init__(self) -> None:
        self._way = threading.Lock()
        self._is_taken = False  # by the one thread that takes it

    @contextmanager
    def taken(self) -> Iterator[None]:
        """The calling thread goes first until it leaves."""
        with self._way:
            self._is_taken = True
            try:
                yield
            finally:
                self._is_taken = False

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The thread that may take it needs no interpreter for a while: the other may go on."""
        if not self._is_taken:
            yield
            return
        self._is_taken = False
        self._way.release()
        try:
            yield
        finally:
            self._way.acquire()
            self._is_taken = True

    def give(self) -> None:
        """Waits while another thread goes first, but not for long."""
        if self._way.locked() and self._way.acquire(timeout=LONGEST_WAIT_S):
            self._way.release()
