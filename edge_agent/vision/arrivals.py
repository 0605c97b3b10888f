"""A live stream's packets and when they came; waits for many at a time where there is time.

To be woken for each of 25 packets a second costs more than to decode the key frame among them. And
what many cameras need is done cheaper in one go: whoever follows finds the processor's caches warm.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from edge_agent.vision.stream_decoder import VideoPacket

# Beyond it readers wake with the next round. At 4 Mbit/s the system then holds three quarters of a
# megabyte for us; longer, and the camera has to.
LONGEST_NAP_S = 1.0
SHORTEST_NAP_S = 0.1
ROUND_S = 0.5
TURN_S = (
    0.016  # one camera's packets, key frame and analysis; all at once would be in each other's way
)
MOST_ROUNDS = 6  # that anybody may still ask for: those of a nap, and some more
LONGEST_WAIT = timedelta(seconds=2)  # of a packet for us, on a machine that is busy besides
# Shorter, and the packet was there already; a camera sends one every 20 ms or more seldom.
AWAITED_S = 0.002


class Rota:
    """When sleeping readers wake: one right after the other, twice a second. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[int] = Counter()  # turns by round; of rounds to come, and of the last

    def wake_after(self, due_s: float) -> float:
        """The first free turn of the next round; both by the monotonic clock."""
        number = math.ceil(due_s / ROUND_S)
        with self._lock:
            turn = self._taken[number]
            self._taken[number] += 1
            if len(self._taken) > MOST_ROUNDS:
                del self._taken[min(self._taken)]
        return number * ROUND_S + turn * TURN_S % ROUND_S


ROTA = Rota()  # the process has one processor, or a few, for all its cameras


class Arrivals:
    """Iterates over packets as they come; `spare_s` says for how long after a time none is needed.

    `tick_s` is the unit of the packets' times; `None`: they tell none, and each is awaited.
    """

    def __init__(
        self,
        packets: Iterator[VideoPacket],
        tick_s: float | None,
        now: Callable[[], datetime],
        spare_s: Callable[[datetime], float],
        sleep: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        rota: Rota = ROTA,
    ) -> None:
        self._packets = packets
        self._tick_s = tick_s
        self._now = now
        self._spare_s = spare_s
        self._sleep, self._monotonic = sleep, monotonic
        self._rota = rota
        self._anchor: tuple[datetime, float] | None = None

    def __iter__(self) -> Iterator[tuple[VideoPacket, datetime]]:
        """Ends with the stream."""
        while True:
            began = self._monotonic()
            packet = next(self._packets, None)
            if packet is None or not packet.size:  # the last one is empty
                return
            was_awaited = self._monotonic() - began > AWAITED_S
            at = self._arrived_at(packet, was_awaited=was_awaited)
            yield packet, at
            if was_awaited and self._tick_s is not None:
                self._nap(self._spare_s(at))

    def _nap(self, spare_s: float) -> None:
        if spare_s >= SHORTEST_NAP_S:
            now_s = self._monotonic()
            self._sleep(self._rota.wake_after(now_s + min(spare_s, LONGEST_NAP_S)) - now_s)

    def _arrived_at(self, packet: VideoPacket, *, was_awaited: bool) -> datetime:
        """One that we found waiting came as much after the last awaited one as the stream says."""
        now = self._now()
        if packet.dts is None or self._tick_s is None:
            return now
        sent_s = packet.dts * self._tick_s
        if was_awaited or self._anchor is None:
            self._anchor = now, sent_s
            return now
        at, anchor_s = self._anchor
        # The camera's clock may jump.
        elapsed_s = min(max(sent_s - anchor_s, 0.0), LONGEST_WAIT.total_seconds())
        return min(now, max(at + timedelta(seconds=elapsed_s), now - LONGEST_WAIT))
