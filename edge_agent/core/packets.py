"""A camera's compressed stream on its way to whoever keeps it: no codec, file or camera known here.

The demuxer calls a sink from the camera's reading thread, before a packet is decoded.
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What a packet's reader must know beforehand."""

    codec: str
    """FFmpeg's name: h264, hevc, mjpeg …"""
    width: int
    height: int
    extradata: bytes
    """The codec's parameter sets as the container gives them; empty if they are in the stream."""
    time_base: Fraction
    """Seconds of one unit of a packet's `pts` and `dts`."""


class Packet(NamedTuple):  # a dataclass takes three times as long to make
    """One coded picture, in decoding order.

    `pts` and `dts` are the camera's own: they may jump or begin anywhere when it is opened again,
    and `dts` rises within one opening only as far as the camera keeps to it.
    """

    data: bytes
    pts: int
    dts: int
    is_key: bool
    """Can be decoded without an earlier packet."""
    captured_at: datetime
    """UTC time of arrival."""


class PacketSink(Protocol):
    """Takes a stream as it comes. One camera's calls come one at a time.

    A `begin` without an `end` before it means that the reading thread hung and was left behind; it
    will say nothing more.
    """

    def begin(self, stream: StreamFormat) -> None:
        """The stream was opened, or opened again."""
        ...

    def take(self, packet: Packet) -> None:
        """The next packet. Must neither block nor raise: it holds up the camera."""
        ...

    def end(self) -> None:
        """The stream ended, failed or was closed; follows every `begin` of a thread that lives."""
        ...
