"""A piece of a stream as a validated MP4: its packets are copied, never encoded anew."""

import io
from itertools import pairwise

import av

from edge_agent.evidence.annex_b import BitstreamError, ByteStream
from edge_agent.evidence.mp4 import CLOCK, CLOCK_UNIT, writing_mp4
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
    with av.open(io.BytesIO(mp4), "r") as container:
        track = container.streams.video[0]
        decoder = track.codec_context
        decoder.thread_count = 1  # several would want several pictures before they give one
        index = track.index_entries
        if len(index) != len(raw.packets):
            raise SegmentError(f"{len(index)} of {len(raw.packets)} pictures can be read back")
        opening, closing = index[0], index[-1]
        if not opening.is_keyframe:
            raise SegmentError("does not begin with a key frame")
        if closing.pos + closing.size > len(mp4):
            raise SegmentError("its last picture is cut off")
        lasts_s = float((closing.timestamp - opening.timestamp) * (track.time_base or 0))
        first, last = raw.packets[0].dts, raw.packets[-1].dts
        if abs(lasts_s - float((last - first) * raw.stream.time_base)) > DURATION_TOLERANCE_S:
            raise SegmentError(f"lasts {lasts_s:.1f} s, not as long as its packets say")
        if not (decoder.decode(next(container.demux(track))) or decoder.decode(None)):
            raise SegmentError("its key frame can't be decoded")
