"""Hands a stream's packets to a sink as they are, beside whatever is decoded of them.

Of a source that gives pictures and no packets (a USB camera, the drawn scene) those that vision
looks at become packets, as JPEG: one a second of an empty desk, several while somebody is there.
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import chain

import cv2
from av.video.stream import VideoStream

from edge_agent.core.packets import Packet, PacketSink, StreamFormat
from edge_agent.vision.frames import Frame
from edge_agent.vision.stream_decoder import VideoPacket

TakePacket = Callable[[VideoPacket, datetime], None]
Number = Callable[[VideoPacket, datetime], tuple[int, int]]
"""A packet's `pts` and `dts`; the time is that of its arrival."""

# Hands over a desk are seen at five a second; 30 kB each, they are a network camera's 1.2 Mbit/s.
PICTURE_EVERY = timedelta(seconds=0.2)
PICTURE_QUALITY = 80  # of 100: text on a form stays as sharp as the camera gave it
_EARLY = 0.9  # pictures do not come evenly
_MILLISECOND = Fraction(1, 1000)


class PacketTap:
    """Between one source and its sink, if it has one; used by the source's reading threads.

    A thread that hung and was left behind says nothing more once another has opened the stream.
    """

    def __init__(self, sink: PacketSink | None) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._opening = 0

    @contextmanager
    def open(self, stream: VideoStream, *, tells_time: bool = True) -> Iterator[TakePacket]:
        """For as long as the stream is read: what to call with each packet.

        Those of a stream that tells no time bear the time at which they came.
        """
        if self._sink is None:
            yield lambda _packet, _at: None
            return
        number = _number_packets() if tells_time else _number_arrivals()
        unit = (stream.time_base if tells_time else None) or _MILLISECOND
        with self._opening_of(self._sink, _describe(stream, unit)) as hand_on:

            def take(packet: VideoPacket, at: datetime) -> None:
                pts, dts = number(packet, at)
                hand_on(Packet(bytes(packet), pts, dts, packet.is_keyframe, at))

            yield take

    def record(self, frames: Generator[Frame]) -> Iterator[Frame]:
        """The frames as they come, at most one each `PICTURE_EVERY` for the sink, too."""
        return frames if self._sink is None else self._record(frames, self._sink)

    def _record(self, frames: Generator[Frame], sink: PacketSink) -> Iterator[Frame]:
        with closing(frames):
            first = next(frames, None)
            if first is None:
                return
            height, width = first.image.shape[:2]
            form = StreamFormat("mjpeg", width, height, b"", _MILLISECOND)
            due = first.captured_at
            with self._opening_of(sink, form) as hand_on:
                for frame in chain([first], frames):
                    at = frame.captured_at
                    if at >= due or due - at > PICTURE_EVERY:  # the latter: the clock was set
                        due = at + _EARLY * PICTURE_EVERY
                        hand_on(_to_packet(frame, first.captured_at))
                    yield frame

    @contextmanager
    def _opening_of(
        self, sink: PacketSink, form: StreamFormat
    ) -> Iterator[Callable[[Packet], None]]:
        with self._lock:
            self._opening += 1
            opening = self._opening
            sink.begin(form)

        def hand_on(packet: Packet) -> None:
            with self._lock:
                if opening == self._opening:
                    sink.take(packet)

        try:
            yield hand_on
        finally:
            with self._lock:
                if opening == self._opening:
                    sink.end()


def _describe(stream: VideoStream, time_base: Fraction) -> StreamFormat:
    codec = stream.codec_context
    return StreamFormat(
        codec=codec.name,
        width=codec.width,
        height=codec.height,
        extradata=bytes(codec.extradata or b""),
        time_base=time_base,
    )


def _number_packets() -> Number:
    """A packet's `pts` and `dts`; those that the stream leaves out follow the ones before."""
    next_dts = 0

    def number(packet: VideoPacket, _at: datetime) -> tuple[int, int]:
        nonlocal next_dts
        known = packet.dts if packet.dts is not None else packet.pts
        dts = next_dts if known is None else known
        next_dts = dts + (packet.duration or 1)
        return (dts if packet.pts is None else packet.pts), dts

    return number


def _number_arrivals() -> Number:
    """Milliseconds since the first came, as `pts` and `dts`: no picture leans on a later one."""
    first: datetime | None = None

    def number(_packet: VideoPacket, at: datetime) -> tuple[int, int]:
        nonlocal first
        first = first or at
        came_at = round((at - first) / timedelta(milliseconds=1))
        return came_at, came_at

    return number


def _to_packet(frame: Frame, begin: datetime) -> Packet:
    _, jpeg = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY])
    shown_at = round((frame.captured_at - begin) / timedelta(milliseconds=1))
    return Packet(jpeg.tobytes(), shown_at, shown_at, is_key=True, captured_at=frame.captured_at)
