"""Hands a stream's packets to a sink as they are, beside whatever is decoded of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from fractions import Fraction

import av
from av.video.stream import VideoStream

from edge_agent.core.packets import Packet, PacketSink, StreamFormat
from edge_agent.vision.stream_decoder import VideoPacket

TakePacket = Callable[[VideoPacket, datetime], None]


class PacketTap:
    """Between one source and its sink, if it has one; used by the source's reading threads.

    A thread that hung and was left behind says nothing more once another has opened the stream.
    """

    def __init__(self, sink: PacketSink | None) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._opening = 0

    @contextmanager
    def open(self, stream: VideoStream) -> Iterator[TakePacket]:
        """For as long as the stream is read: what to call with each packet."""
        sink = self._sink
        if sink is None:
            yield lambda _packet, _at: None
            return
        with self._lock:
            self._opening += 1
            opening = self._opening
            sink.begin(_describe(stream))
        number = _number_packets()

        def take(packet: VideoPacket, at: datetime) -> None:
            pts, dts = number(packet)
            copied = Packet(bytes(packet), pts, dts, packet.is_keyframe, at)
            with self._lock:
                if opening == self._opening:
                    sink.take(copied)

        try:
            yield take
        finally:
            with self._lock:
                if opening == self._opening:
                    sink.end()


def _describe(stream: VideoStream) -> StreamFormat:
    codec = stream.codec_context
    return StreamFormat(
        codec=codec.name,
        width=codec.width,
        height=codec.height,
        extradata=bytes(codec.extradata or b""),
        time_base=stream.time_base or Fraction(1, av.time_base),
    )


def _number_packets() -> Callable[[VideoPacket], tuple[int, int]]:
    """A packet's `pts` and `dts`; those that the stream leaves out follow the ones before."""
    next_dts = 0

    def number(packet: VideoPacket) -> tuple[int, int]:
        nonlocal next_dts
        known = packet.dts if packet.dts is not None else packet.pts
        dts = next_dts if known is None else known
        next_dts = dts + (packet.duration or 1)
        return (dts if packet.pts is None else packet.pts), dts

    return number
