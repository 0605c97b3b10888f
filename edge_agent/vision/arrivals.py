"""A live stream's packets and when they came; waits for several at a time where there is time.

To be woken for each of 25 packets a second costs as much as to decode the key frame among them.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from edge_agent.vision.stream_decoder import VideoPacket

NAP_S = 0.4  # at 8 Mbit/s the system holds 400 kB for us meanwhile
LONGEST_WAIT = timedelta(seconds=1)  # of a packet for us, on a machine that is busy besides
# Shorter, and the packet was there already; a camera sends one every 20 ms or more seldom.
AWAITED_S = 0.002


class Arrivals:
    """Iterates over packets as they come; `may_nap` says that half a second is no loss.

    `tick_s` is the unit of the packets' times.
    """

    def __init__(
        self,
        packets: Iterator[VideoPacket],
        tick_s: float,
        now: Callable[[], datetime],
        may_nap: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._packets = packets
        self._tick_s = tick_s
        self._now = now
        self._may_nap = may_nap
        self._monotonic, self._sleep = monotonic, sleep
        self._anchor: tuple[datetime, float] | None = None

    def __iter__(self) -> Iterator[tuple[VideoPacket, datetime]]:
        """Ends with the stream."""
        while True:
            began = self._monotonic()
            packet = next(self._packets, None)
            if packet is None or not packet.size:  # the last one is empty
                return
            was_awaited = self._monotonic() - began > AWAITED_S
            yield packet, self._arrived_at(packet, was_awaited=was_awaited)
            if was_awaited and self._may_nap():
                self._sleep(NAP_S)

    def _arrived_at(self, packet: VideoPacket, *, was_awaited: bool) -> datetime:
        """One that we found waiting came as much after the last awaited one as the stream says."""
        now = self._now()
        if packet.dts is None:
            return now
        sent_s = packet.dts * self._tick_s
        if was_awaited or self._anchor is None:
            self._anchor = now, sent_s
            return now
        at, anchor_s = self._anchor
        elapsed_s = min(max(sent_s - anchor_s, 0.0), 1.0)  # the camera's clock may jump
        return min(now, max(at + timedelta(seconds=elapsed_s), now - LONGEST_WAIT))
