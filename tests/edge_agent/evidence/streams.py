"""Packets of real recordings and of drawn ones, as a camera's demuxer hands them on."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_agent.core.packets import Packet, StreamFormat
from edge_agent.evidence.segment_builder import RawSegment, SegmentBuilder

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Stream:
    """All packets of a recording, arriving at its own pace from `START` on."""

    form: StreamFormat
    packets: tuple[Packet, ...]

    def pieces(self) -> list[RawSegment]:
        """What the builder makes of them."""
        builder = SegmentBuilder(self.form)
        taken = [builder.take(packet) for packet in self.packets]
        return [piece for piece in (*taken, builder.finish()) if piece is not None]


def read_stream(recording: Path | io.BytesIO, start: datetime = START) -> Stream:
    """Demux a file whole."""
    source = recording if isinstance(recording, io.BytesIO) else str(recording)
    with av.open(source, "r") as container:
        track = container.streams.video[0]
        assert track.time_base is not None
        context = track.codec_context
        form = StreamFormat(
            context.name,
            context.width,
            context.height,
            bytes(context.extradata or b""),
            track.time_base,
        )
        packets: list[Packet] = []
        for packet in container.demux(track):
            if packet.size:
                dts = packet.dts or (packets[-1].dts + 1 if packets else 0)
                first = packets[0].dts if packets else dts
                at = start + timedelta(seconds=float((dts - first) * track.time_base))
                packets.append(Packet(bytes(packet), packet.pts or 0, dts, packet.is_keyframe, at))
    return Stream(form, tuple(packets))


def draw_stream(
    codec: str, seconds: int, fps: int = 5, size: tuple[int, int] = (320, 180)
) -> Stream:
    """A moving square, encoded here: for codecs of which there is no recording."""
    target = io.BytesIO()
    width, height = size
    with av.open(target, "w", format="matroska") as container:
        track = container.add_stream(codec, rate=fps)
        assert isinstance(track, VideoStream)
        track.width, track.height = width, height
        track.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if codec == "libx265":
            track.options = {"x265-params": "keyint=10:log-level=none"}
        track.codec_context.time_base = Fraction(1, fps)
        for number in range(seconds * fps):
            image = np.full((height, width, 3), 60, np.uint8)
            image[40:100, number % 200 : number % 200 + 60] = (40, 200, 240)
            frame = VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number
            container.mux(track.encode(frame))
        container.mux(track.encode())
    target.seek(0)
    return read_stream(target)
