"""Recordings and cameras frame their pictures differently; segments hold one form."""

import contextlib
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.packets import Packet, StreamFormat
from edge_agent.evidence.annex_b import BitstreamError, ByteStream
from tests.edge_agent.evidence.streams import START, draw_stream, read_stream

SPS, PPS, SLICE = b"\x67sps", b"\x68pps", b"\x65slice"
CODE = b"\x00\x00\x00\x01"


def stream_of(extradata: bytes, codec: str = "h264") -> ByteStream:
    return ByteStream(StreamFormat(codec, 640, 360, extradata, Fraction(1, 90_000)))


def packet_of(data: bytes) -> Packet:
    return Packet(data, 0, 0, is_key=True, captured_at=START)


def with_length(unit: bytes, size: int = 4) -> bytes:
    return len(unit).to_bytes(size) + unit


AVCC = (
    b"\x01\x64\x00\x0c\xff\xe1" + with_length(SPS, 2) + b"\x01" + with_length(PPS, 2)
)  # four bytes of length, one set of each


def test_a_recordings_lengths_become_start_codes_behind_its_parameter_sets() -> None:
    stream = stream_of(AVCC)
    packet = packet_of(with_length(SLICE) + with_length(SLICE))
    assert stream.rewritten(packet) == CODE + SLICE + CODE + SLICE
    assert stream.opening(packet) == CODE + SPS + CODE + PPS + CODE + SLICE + CODE + SLICE


def test_a_cameras_bytes_stay_and_its_own_parameter_sets_go_before_older_ones() -> None:
    stream = stream_of(CODE + SPS + CODE + PPS)
    bare = packet_of(CODE + SLICE)
    assert stream.rewritten(bare) == bare.data
    assert stream.opening(bare) == CODE + SPS + CODE + PPS + CODE + SLICE
    for before in (b"", CODE + b"\x09\x10"):
        whole = packet_of(before + CODE + SPS + b"new" + CODE + PPS + CODE + SLICE)
        assert stream.opening(whole) == whole.data


def test_pictures_that_are_no_byte_stream_are_left_alone() -> None:
    assert stream_of(b"", "mjpeg").opening(packet_of(b"\xff\xd8")) == b"\xff\xd8"


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_real_parameter_sets_are_found(codec: str) -> None:
    drawn = draw_stream(codec, 1)
    assert drawn.form.extradata[0] == 1
    opening = ByteStream(drawn.form).opening(drawn.packets[0])
    assert opening.startswith(CODE)
    assert opening.count(CODE) > ByteStream(drawn.form).rewritten(drawn.packets[0]).count(CODE)


def test_what_is_cut_off_is_named() -> None:
    for cut in (3, 7, len(AVCC) - 2):
        with pytest.raises(BitstreamError, match="parameter sets"):
            stream_of(AVCC[:cut])
    with pytest.raises(BitstreamError, match="shorter than it says"):
        stream_of(AVCC).rewritten(packet_of(with_length(SLICE)[:-1]))
    with pytest.raises(BitstreamError, match="start code"):
        stream_of(CODE + SPS).opening(packet_of(b"\x01\x02"))


@given(st.binary(max_size=60), st.binary(max_size=60), st.sampled_from(["h264", "hevc"]))
def test_any_bytes_give_bytes_or_an_error(extradata: bytes, data: bytes, codec: str) -> None:
    with contextlib.suppress(BitstreamError):
        ByteStream(StreamFormat(codec, 64, 64, extradata, Fraction(1, 1000))).opening(
            packet_of(data)
        )


def test_the_desk_recording_is_framed_by_lengths(testdata: Path) -> None:
    form = read_stream(testdata / "video" / "asl_no.mkv").form
    assert form.codec == "h264"
    assert form.extradata[0] == 1
