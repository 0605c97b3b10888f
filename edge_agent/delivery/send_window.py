"""Which events to publish next: in order, a bounded number unreceipted, again when a receipt
stays out or a gap is asked for. Pure: numbers and monotonic seconds in, spans of numbers out.
"""

from collections import deque
from collections.abc import Callable

from event_protocol.messages import Resend

LONGEST_WAIT_S = 300.0
MAX_REQUESTS = 64  # more gaps than this at once: going back to the receipt is cheaper


class SendWindow:
    """`size` events may be without a receipt; after `resend_after_s` of silence they go out again.

    `jitter()` is a random share of 1, so that a fleet does not resend in step after an outage.
    """

    def __init__(self, size: int, resend_after_s: float, jitter: Callable[[], float]) -> None:
        self._size = size
        self._resend_after_s = resend_after_s
        self._jitter = jitter
        self._sent = 0  # the newest number published since the last rewind
        self._requests: deque[tuple[int, int]] = deque()
        self._tries = 0
        self._deadline = 0.0

    def take_span(self, receipted: int, last: int, at: float, limit: int) -> tuple[int, int] | None:
        """First and last number to publish now, at most `limit`, or `None`; counts as published.

        `receipted` and `last` are the newest number with a receipt and the newest that exists.
        """
        if self._requests:
            return self._take_requested(limit)
        self._sent = max(self._sent, receipted)
        if self._sent > receipted and at >= self._deadline:
            self._sent = receipted
            self._tries += 1
            self._restart_timer(at)
        elif self._sent == receipted and last > receipted:
            self._restart_timer(at)
        first = self._sent + 1
        end = min(last, receipted + self._size, self._sent + limit)
        if end < first:
            return None
        self._sent = end
        return first, end

    def _take_requested(self, limit: int) -> tuple[int, int]:
        first, last = self._requests.popleft()
        end = min(last, first + limit - 1)
        if end < last:
            self._requests.appendleft((end + 1, last))
        return first, end

    def request(self, wanted: Resend, last: int) -> None:
        """The server misses some numbers; what was never written can't be sent."""
        span = (wanted.first, min(wanted.last, last))
        if span[0] <= span[1] and span not in self._requests and len(self._requests) < MAX_REQUESTS:
            self._requests.append(span)

    def note_progress(self, at: float) -> None:
        """A receipt confirmed more than the one before."""
        self._tries = 0
        self._restart_timer(at)

    def rewind(self) -> None:
        """Begin again at the receipt: the broker or the server forgot what it was sent."""
        self._sent = 0
        self._requests.clear()

    def _restart_timer(self, at: float) -> None:
        wait = min(self._resend_after_s * 2**self._tries, LONGEST_WAIT_S)
        self._deadline = at + wait * (1 + self._jitter())
