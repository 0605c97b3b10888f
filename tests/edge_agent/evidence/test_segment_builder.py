"""A stream is cut before key frames, and wherever a clock was set."""

from datetime import timedelta
from fractions import Fraction

from edge_agent.core.packets import Packet, StreamFormat
from edge_agent.evidence.segment_builder import LONGEST, MOST_BYTES, RawSegment, SegmentBuilder
from tests.edge_agent.evidence.streams import START

FORM = StreamFormat("h264", 640, 360, b"", Fraction(1, 1000))


def packet(at_s: float, *, key: bool = False, dts_s: float | None = None, size: int = 1) -> Packet:
    dts = round(1000 * (at_s if dts_s is None else dts_s))
    return Packet(bytes(size), dts, dts, key, START + timedelta(seconds=at_s))


def cut(packets: list[Packet]) -> list[tuple[float, float, int]]:
    """Begin and end in seconds and the number of pictures of each piece."""
    builder = SegmentBuilder(FORM)
    pieces: list[RawSegment | None] = [builder.take(p) for p in packets]
    pieces.append(builder.finish())
    assert builder.finish() is None
    return [
        (
            (piece.begin - START).total_seconds(),
            (piece.end - START).total_seconds(),
            len(piece.packets),
        )
        for piece in pieces
        if piece is not None
    ]


def test_pieces_end_at_the_first_key_frame_after_ten_seconds() -> None:
    stream = [packet(t, key=t % 4 == 0) for t in range(26)]
    assert cut(stream) == [(0, 12, 12), (12, 24, 12), (24, 25, 2)]


def test_a_piece_that_is_wanted_ends_with_the_next_key_frame_and_the_following_as_ever() -> None:
    builder = SegmentBuilder(FORM)
    pieces = []
    for second in range(32):
        if second == 5:
            builder.cut_after(START + timedelta(seconds=4))
        pieces.append(builder.take(packet(second, key=second % 4 == 0)))
    ends = [(piece.end - START).total_seconds() for piece in pieces if piece is not None]
    assert ends == [8, 20]


def test_nothing_is_kept_before_the_first_key_frame() -> None:
    assert cut([packet(t, key=t == 3) for t in range(6)]) == [(3, 5, 3)]
    assert cut([packet(0), packet(1)]) == []
    assert cut([packet(0, key=True)]) == []  # lasts no time


def test_a_clock_that_was_set_ends_a_piece() -> None:
    forward = [packet(0, key=True), packet(1), packet(30), packet(31, key=True), packet(32)]
    assert cut(forward) == [(0, 1, 2), (31, 32, 2)]
    back = [packet(100, key=True), packet(101), packet(50), packet(51, key=True), packet(52)]
    assert cut(back) == [(100, 101, 2), (51, 52, 2)]


def test_a_camera_that_counts_anew_ends_a_piece() -> None:
    for jump in (-500, 500):
        stream = [
            packet(0, key=True),
            packet(1),
            packet(2, dts_s=2 + jump, key=True),
            packet(3, dts_s=3 + jump),
        ]
        assert cut(stream) == [(0, 1, 2), (2, 3, 2)]


def test_a_stream_without_key_frames_does_not_fill_the_memory() -> None:
    longest = int(LONGEST.total_seconds())
    endless = [packet(0, key=True), *(packet(t) for t in range(1, longest + 5))]
    assert cut(endless) == []
    large = MOST_BYTES // 2
    assert cut([packet(0, key=True, size=large), packet(1, size=large), packet(2)]) == []
    heavy = [packet(t, key=True, size=large) for t in range(4)]
    assert cut(heavy) == [(0, 1, 1), (1, 2, 1), (2, 3, 1)]
