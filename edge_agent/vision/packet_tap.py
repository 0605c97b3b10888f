"""Hands a stream's packets to a sink as they are, beside whatever is decoded of them."""

from datetime import datetime
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
from av.video.stream import VideoStream

from edge_agent.core.packets import Packet, PacketSink, StreamFormat
from edge_agent.vision.stream_decoder import VideoPacket


class PacketTap:
    """Between the demuxer and a sink, if there is one; for one opening of one stream."""

    def __init__(self, stream: VideoStream, sink: PacketSink | None) -> None:
        self._stream = stream
        self._sink = sink
        self._last_dts: int | None = None

    def __enter__(self) -> Self:
        if self._sink is not None:
            codec = self._stream.codec_context
            self._sink.begin(
                StreamFormat(
                    codec=codec.name,
                    width=codec.width,
                    height=codec.height,
                    extradata=bytes(codec.extradata or b""),
                    time_base=self._stream.time_base or Fraction(1, av.time_base),
                )
            )
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._sink is not None:
            self._sink.end()

    def take(self, packet: VideoPacket, at: datetime) -> None:
        """Pass the packet on; times that the stream leaves out follow those before."""
        if self._sink is None:
            return
        dts = packet.dts if packet.dts is not None else packet.pts
        if dts is None:
            dts = 0 if self._last_dts is None else self._last_dts + (packet.duration or 1)
        self._last_dts = dts
        pts = dts if packet.pts is None else packet.pts
        self._sink.take(Packet(bytes(packet), pts, dts, packet.is_keyframe, at))
