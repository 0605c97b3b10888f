"""A piece of a stream as a validated MP4: its packets are copied, never encoded anew."""

import io
from itertools import pairwise
from typing import cast

import av
from av import VideoCodecContext

from edge_agent.evidence.annex_b import BitstreamError, ByteStream
from edge_agent.evidence.mp4 import CLOCK, CLOCK_UNIT, writing_mp4
from edge_agent.evidence.mp4_index import read_index
from edge_agent.evidence.segment_builder import RawSegment

# H.264 plays in every browser; the others are kept as they are and encoded anew when cut.
CODECS = frozenset({"h264", "hevc", "mjpeg"})
DURATION_TOLERANCE_S = 0.1


class SegmentError(Exception):
    """The piece can't be kept; says why."""


def mux(raw: RawSegment) -> bytes:
    """The piece as an MP4 that was opened and checked; raises `SegmentError`."""
    try:
        mp4 = _copy_packets(raw)
        _check(mp4, raw)
    except (av.FFmpegError, BitstreamError, ValueError) as error:
        raise SegmentError(f"{type(error).__name__}: {error}") from error
    return mp4


def _copy_packets(raw: RawSegment) -> bytes:
    stream = ByteStream(raw.stream)
    target = io.BytesIO()
    with writing_mp4(target) as container:
        track = container.add_mux_stream(
            raw.stream.codec, width=raw.stream.width, height=raw.stream.height
        )
        for number, (packet, (pts, dts, lasts)) in enumerate(
            zip(raw.packets, _times(raw), strict=True)
        ):
            copied = av.Packet(stream.rewritten(packet) if number else stream.opening(packet))
            copied.stream = track
            copied.pts, copied.dts, copied.time_base = pts, dts, CLOCK_UNIT
            copied.duration = lasts
            copied.is_keyframe = packet.is_key
            container.mux(copied)
    return target.getvalue()


def _times(raw: RawSegment) -> list[tuple[int, int, int]]:
    """`pts`, `dts` and duration in units of `CLOCK_UNIT`, counted from the first picture's `pts`.

    Without its last picture's duration a file would end before that picture.
    """
    units = float(raw.stream.time_base * CLOCK)
    origin = raw.packets[0].pts
    decoded: list[int] = []
    for packet in raw.packets:
        dts = round((packet.dts - origin) * units)
        # Equal or slightly falling times are a habit of some cameras; MP4 has none.
        decoded.append(max(dts, decoded[-1] + 1) if decoded else dts)
    lasting = [later - dts for dts, later in pairwise(decoded)]
    lasting.append(lasting[-1] if lasting else CLOCK // 25)
    shown = (round((packet.pts - origin) * units) for packet in raw.packets)
    return [
        (max(pts, dts), dts, lasts) for pts, dts, lasts in zip(shown, decoded, lasting, strict=True)
    ]


def _check(mp4: bytes, raw: RawSegment) -> None:
    """What was written is read back: its index, and by itself its first picture."""
    index = read_index(mp4)
    if len(index.pictures) != len(raw.packets):
        raise SegmentError(f"{len(index.pictures)} of {len(raw.packets)} pictures can be read back")
    if not index.begins_with_key:
        raise SegmentError("does not begin with a key frame")
    first, last = raw.packets[0].dts, raw.packets[-1].dts
    if abs(index.lasts_s - float((last - first) * raw.stream.time_base)) > DURATION_TOLERANCE_S:
        raise SegmentError(f"lasts {index.lasts_s:.1f} s, not as long as its packets say")
    begin, end = index.pictures[0]
    decoder = cast(VideoCodecContext, av.CodecContext.create(raw.stream.codec, "r"))
    decoder.thread_count = 1  # several would want several pictures before they give one
    decoder.extradata = index.configuration
    decoder.options = {"skip_loop_filter": "all"}  # nobody looks at it
    if not (decoder.decode(av.Packet(mp4[begin:end])) or decoder.decode(None)):
        raise SegmentError("its key frame can't be decoded")
