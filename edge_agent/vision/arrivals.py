"""A live stream's packets and when they came; waits for many at a time where there is time.

To be woken for each of 25 packets a second costs more than to decode the key frame among them.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from edge_agent.vision.stream_decoder import VideoPacket

# At 4 Mbit/s the system holds half a megabyte for us meanwhile; longer, and the camera has to.
LONGEST_NAP_S = 1.0
SHORTEST_NAP_S = 0.1
LONGEST_WAIT = timedelta(seconds=1.25)  # of a packet for us, on a machine that is busy besides
# Shorter, and the packet was there already; a camera sends one every 20 ms or more seldom.
AWAITED_S = 0.002


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
    ) -> None:
        self._packets = packets
        self._tick_s = tick_s
        self._now = now
        self._spare_s = spare_s
        self._sleep, self._monotonic = sleep, monotonic
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
                spare_s = self._spare_s(at)
                if spare_s >= SHORTEST_NAP_S:
                    self._sleep(min(spare_s, LONGEST_NAP_S))

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
