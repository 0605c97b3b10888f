"""Segments hold the camera's own packets and are checked before they are kept."""

import io
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.evidence.segment_builder import RawSegment
from edge_agent.evidence.segments import SegmentError, mux
from tests.edge_agent.evidence.streams import draw_stream, read_stream


def pictures(video: bytes | Path) -> list[float]:
    """A number for each decoded picture that another one will not have."""
    source = io.BytesIO(video) if isinstance(video, bytes) else str(video)
    with av.open(source, "r") as container:
        return [float(np.mean(f.to_ndarray()[::7, ::7])) for f in container.decode(video=0)]


def test_every_picture_of_a_recording_is_in_its_segments_unchanged(testdata: Path) -> None:
    recording = testdata / "video" / "cars_no_people.mp4"
    stream = read_stream(recording)
    segments = [mux(piece) for piece in stream.pieces()]
    assert [p for segment in segments for p in pictures(segment)] == pictures(recording)
    sizes = sum(len(packet.data) for packet in stream.packets)
    assert sum(map(len, segments)) < 1.05 * sizes  # copied, with an index


def test_segments_play_at_once_and_last_as_long_as_their_packets(testdata: Path) -> None:
    pieces = read_stream(testdata / "video" / "desk_one_by_one_a.mp4").pieces()
    assert len(pieces) == 8
    for piece in pieces[:2]:
        segment = mux(piece)
        assert segment.find(b"moov") < segment.find(b"mdat")
        with av.open(io.BytesIO(segment), "r") as container:
            track = container.streams.video[0]
            assert track.duration is not None
            assert track.time_base is not None
            assert float(track.duration * track.time_base) == pytest.approx(10, abs=0.11)
            assert track.start_time == 0


@pytest.mark.parametrize(("codec", "name"), [("libx265", "hevc"), ("mjpeg", "mjpeg")])
def test_other_codecs_are_copied_too(codec: str, name: str) -> None:
    (piece,) = draw_stream(codec, 8).pieces()
    segment = mux(piece)
    assert len(pictures(segment)) == 40
    with av.open(io.BytesIO(segment), "r") as container:
        assert container.streams.video[0].codec_context.name == name


def test_pictures_of_equal_time_are_kept_in_order() -> None:
    (piece,) = draw_stream("mjpeg", 8).pieces()
    packets = list(piece.packets)
    packets[5] = packets[5]._replace(dts=packets[4].dts, pts=packets[4].pts)
    packets[9] = packets[9]._replace(dts=packets[8].dts - 3, pts=packets[8].pts - 3)
    assert len(pictures(mux(replace(piece, packets=tuple(packets))))) == 40


def test_what_can_not_be_played_is_refused() -> None:
    (piece,) = draw_stream("libx264", 8).pieces()
    headless = replace(piece, packets=piece.packets[1:])
    assert not headless.packets[0].is_key
    damaged = piece.packets[0]._replace(data=piece.packets[0].data[:9] + bytes(500))
    for unusable in (
        headless,
        replace(piece, packets=(damaged, *piece.packets[1:])),
        replace(piece, stream=replace(piece.stream, extradata=b"")),
    ):
        with pytest.raises(SegmentError):
            mux(unusable)


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=1, max_size=80), min_size=2, max_size=4))
def test_any_bytes_are_kept_or_refused(bodies: list[bytes]) -> None:
    piece = _piece()
    packets = tuple(
        packet._replace(data=body) for packet, body in zip(piece.packets, bodies, strict=False)
    )
    for stream in (piece.stream, replace(piece.stream, extradata=b"")):
        with pytest.raises(SegmentError):
            mux(RawSegment(stream, packets, piece.begin, piece.end))


def _piece(_made: list[RawSegment] = []) -> RawSegment:  # noqa: B006 - drawn once
    if not _made:
        _made += draw_stream("libx264", 2).pieces()
    return _made[0]
