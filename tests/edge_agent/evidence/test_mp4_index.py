"""The index of a segment says what FFmpeg reads of it, and a damaged one is refused."""

import io
import struct
from dataclasses import replace
from functools import cache

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.evidence.mp4_index import Mp4Error, read_index
from edge_agent.evidence.segments import mux
from tests.edge_agent.evidence.streams import draw_stream

CODECS = ["libx264", "libx265", "mjpeg"]


@cache
def draw_segment(codec: str) -> bytes:
    (piece,) = draw_stream(codec, 4).pieces()
    return mux(piece)


@pytest.mark.parametrize("codec", CODECS)
def test_it_says_what_ffmpeg_says(codec: str) -> None:
    segment = draw_segment(codec)
    index = read_index(segment)
    with av.open(io.BytesIO(segment), "r") as container:
        track = container.streams.video[0]
        entries = list(track.index_entries)
        assert index.pictures == tuple((e.pos, e.pos + e.size) for e in entries)
        assert index.begins_with_key
        ticks = entries[-1].timestamp - entries[0].timestamp
        assert track.time_base is not None
        assert index.lasts_s == pytest.approx(float(ticks * track.time_base))
        if codec != "mjpeg":
            assert index.configuration == track.codec_context.extradata
        packets = [bytes(packet) for packet in container.demux(track) if packet.size]
    assert [segment[begin:end] for begin, end in index.pictures] == packets


def test_pictures_of_one_size_have_no_list_of_sizes() -> None:
    (piece,) = draw_stream("mjpeg", 4).pieces()
    same = tuple(packet._replace(data=piece.packets[0].data) for packet in piece.packets)
    segment = mux(replace(piece, packets=same))
    index = read_index(segment)
    assert len(index.pictures) == len(same)
    assert all(segment[begin:end] == same[0].data for begin, end in index.pictures)
    with pytest.raises(Mp4Error):
        read_index(replace_table(segment, b"stsz", [0, len(same[0].data), 2**31]))


@pytest.mark.parametrize("kept", [0, 7, 40, 300, 900, -1, -400])
def test_a_file_that_is_cut_off_is_refused(kept: int) -> None:
    with pytest.raises(Mp4Error):
        read_index(draw_segment("libx264")[:kept])


def replace_table(segment: bytes, kind: bytes, numbers: list[int]) -> bytes:
    """As many bytes as before: other numbers in a table."""
    at = segment.index(kind) + 4
    table = struct.pack(f">{len(numbers)}I", *numbers)
    return segment[:at] + table + segment[at + len(table) :]


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (b"stsz", [0, 0, 19]),  # a picture less than the chunks hold
        (b"stsz", [0, 0, 2**30]),
        (b"stsz", [0, 2**20, 20]),
        (b"stsz", [0, 0, 20, 2**31]),  # far beyond the file
        (b"stco", [0, 1, 0]),
        (b"stco", [0, 2, 0]),
        (b"stsc", [0, 1, 2]),
        (b"stts", [0, 0]),
        (b"mdhd", [0, 0, 0, 0]),
        (b"stsd", [0, 1, 2**31]),
    ],
)
def test_tables_that_contradict_the_file_are_refused(kind: bytes, numbers: list[int]) -> None:
    with pytest.raises(Mp4Error):
        read_index(replace_table(draw_segment("libx264"), kind, numbers))


def test_a_first_picture_that_is_no_key_is_told() -> None:
    segment = replace_table(draw_segment("libx264"), b"stss", [0, 1, 2])
    assert not read_index(segment).begins_with_key


def test_an_index_behind_the_data_is_refused() -> None:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        track = container.add_stream("libx264", rate=5)
        track.width, track.height = 16, 16
        container.mux(track.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(track.encode(None))
    with pytest.raises(Mp4Error):
        read_index(target.getvalue())


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 1400), st.binary(min_size=1, max_size=4)), max_size=4))
def test_whatever_stands_in_the_index_it_is_read_or_refused(
    damages: list[tuple[int, bytes]],
) -> None:
    segment = bytearray(draw_segment("libx264"))
    for at, damage in damages:
        segment[at : at + len(damage)] = damage
    try:
        index = read_index(bytes(segment))
    except Mp4Error:
        return
    assert all(0 <= begin <= end <= len(segment) for begin, end in index.pictures)
