"""Cuts a camera's stream of packets into pieces that each begin with a key frame. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_agent.core.packets import Packet, StreamFormat

SEGMENT = timedelta(seconds=10)
# Key frames may be 10 s apart; a camera that sends none for longer has its pieces dropped, for
# they would fill the memory and could be cut nowhere.
LONGEST = timedelta(seconds=60)
MOST_BYTES = 24 * 2**20
# Within a piece, neither the camera's clock nor ours may jump so far.
LARGEST_STEP = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RawSegment:
    """Some seconds of one stream as they came; `begin` and `end` are UTC times of arrival."""

    stream: StreamFormat
    packets: tuple[Packet, ...]
    begin: datetime
    end: datetime

    @property
    def size(self) -> int:
        """Bytes of all packets."""
        return sum(len(packet.data) for packet in self.packets)


class SegmentBuilder:
    """One opening of a camera; give it every packet."""

    def __init__(self, stream: StreamFormat, length: timedelta = SEGMENT) -> None:
        self._stream = stream
        self._length = length
        self._largest_step = LARGEST_STEP.total_seconds() / stream.time_base  # of `dts`
        self._packets: list[Packet] = []
        self._bytes = 0
        self._cut_after: datetime | None = None

    @property
    def begin(self) -> datetime | None:
        """Since when the piece that is being collected goes; `None`: waiting for a key frame."""
        return self._packets[0].captured_at if self._packets else None

    def is_silent_since(self, at: datetime) -> bool:
        """Whether a piece is being collected of which nothing has come since then."""
        return bool(self._packets) and self._packets[-1].captured_at < at

    def cut_after(self, at: datetime) -> None:
        """Let the piece that is being collected end before the first key frame after `at`."""
        self._cut_after = at

    def take(self, packet: Packet) -> RawSegment | None:
        """The piece that ends before this packet, if one does."""
        finished = None
        if self._packets:
            if self._is_broken_by(packet):
                finished = self.finish()
            elif packet.is_key and self._is_full_at(packet.captured_at):
                finished = self._close(packet.captured_at)
            elif self._is_overfull_at(packet.captured_at):
                self._clear()
        if self._packets or packet.is_key:
            self._packets.append(packet)
            self._bytes += len(packet.data)
        return finished

    def finish(self) -> RawSegment | None:
        """The stream is over: what was collected, if it lasts at all."""
        if not self._packets:
            return None
        return self._close(self._packets[-1].captured_at)

    def _close(self, end: datetime) -> RawSegment | None:
        packets = tuple(self._packets)
        self._clear()
        begin = packets[0].captured_at
        return RawSegment(self._stream, packets, begin, end) if end > begin else None

    def _clear(self) -> None:
        self._packets.clear()
        self._bytes = 0
        self._cut_after = None

    def _is_full_at(self, at: datetime) -> bool:
        is_wanted = self._cut_after is not None and at > self._cut_after
        is_long = at - self._packets[0].captured_at >= self._length
        return is_wanted or is_long or self._bytes >= MOST_BYTES / 2

    def _is_overfull_at(self, at: datetime) -> bool:
        return at - self._packets[0].captured_at >= LONGEST or self._bytes >= MOST_BYTES

    def _is_broken_by(self, packet: Packet) -> bool:
        """Whether the camera's clock or ours was set, or the camera paused."""
        last = self._packets[-1]
        arrived = packet.captured_at - last.captured_at
        units = packet.dts - last.dts
        return not timedelta(0) <= arrived <= LARGEST_STEP or abs(units) > self._largest_step
