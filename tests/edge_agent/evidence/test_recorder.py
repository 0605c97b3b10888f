"""What a camera sends ends up in the ring; what it does not send is known as missing."""

import errno
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog
from nacl.public import PrivateKey

from edge_agent.core.packets import Packet
from edge_agent.delivery.files import write_whole
from edge_agent.evidence.data_keys import DataKeys
from edge_agent.evidence.recorder import CameraRecorder, SegmentWriter
from edge_agent.evidence.ring import Ring, RingLimits
from edge_agent.evidence.segment_builder import RawSegment
from edge_agent.evidence.segment_file import read_head
from event_protocol.evidence import Span, Unavailable
from event_protocol.names import DeviceId
from tests.edge_agent.evidence.streams import START, Stream, draw_stream
from tests.processes.full_disk import no_file_grows_beyond

SERVER = PrivateKey(b"sealing key of these tests 32 by")
MOMENT = timedelta(milliseconds=1)
ALWAYS = Span(begin=START - timedelta(days=9), end=START + timedelta(days=9))


class Recording:
    """One camera, its ring, and a clock that a test sets."""

    def __init__(self, folder: Path, max_bytes: int = 10**9) -> None:
        self.at = START
        self.ring = Ring(folder, RingLimits(max_bytes, timedelta(days=1), 0), write_whole)
        keys = DataKeys(DeviceId("box-1"), lambda: bytes(SERVER.public_key))
        self.writer = SegmentWriter(self.ring, keys, lambda: self.at)
        self.recorder = CameraRecorder("room", self.writer, lambda: self.at)
        self.writer.start()

    def play(self, stream: Stream, after_s: float = 0, packets: slice = slice(None)) -> None:
        """All packets, shifted by some seconds; the clock goes with them."""
        self.recorder.begin(stream.form)
        for packet in stream.packets[packets]:
            self.at = packet.captured_at + timedelta(seconds=after_s)
            self.recorder.take(Packet(packet.data, packet.pts, packet.dts, packet.is_key, self.at))
        self.recorder.end()

    def segments(self) -> list[tuple[float, float]]:
        return [_seconds(e.begin, e.end) for e in self.ring.list_segments("room", ALWAYS)]

    def gaps(self) -> list[tuple[float, float, Unavailable | None]]:
        return [(*_seconds(e.begin, e.end), e.reason) for e in self.ring.list_gaps("room", ALWAYS)]


def _seconds(begin: datetime, end: datetime) -> tuple[float, float]:
    return (begin - START).total_seconds(), (end - START).total_seconds()


@pytest.fixture(scope="module")
def stream() -> Stream:
    return draw_stream("mjpeg", 25)


def test_a_stream_becomes_segments_and_its_pauses_gaps(tmp_path: Path, stream: Stream) -> None:
    recording = Recording(tmp_path)
    recording.play(stream, after_s=3)
    assert recording.recorder.settle(recording.at - MOMENT)
    assert not recording.recorder.settle(recording.at)
    recording.play(stream, after_s=100)
    recording.writer.stop()
    assert recording.segments() == [
        (3, 13), (13, 23), (23, 27.8), (100, 110), (110, 120), (120, 124.8),
    ]  # fmt: skip
    assert recording.gaps() == [
        (0, 3, Unavailable.CAMERA_OFF),
        (27.8, 100, Unavailable.CAMERA_OFF),
    ]
    for entry in recording.ring.list_segments("room", ALWAYS):
        assert read_head(recording.ring.read(entry)).begin == entry.begin


def test_a_camera_that_is_off_is_noted_while_it_is(tmp_path: Path, stream: Stream) -> None:
    recording = Recording(tmp_path)
    for minute in range(1, 4):
        recording.at = START + timedelta(minutes=minute)
        recording.recorder.note_time()
    recording.recorder.begin(stream.form)
    recording.recorder.take(
        Packet(stream.packets[0].data, 0, 0, is_key=True, captured_at=recording.at)
    )
    collecting_since = recording.at
    recording.at += timedelta(seconds=5)
    recording.recorder.note_time()
    assert recording.recorder.settle(collecting_since - MOMENT)
    assert not recording.recorder.settle(recording.at)
    recording.recorder.take(
        Packet(stream.packets[0].data, 5000, 5000, is_key=True, captured_at=recording.at)
    )
    recording.at += timedelta(seconds=20)  # it hangs, and nobody has said so yet
    recording.recorder.note_time()
    assert recording.recorder.settle(recording.at - MOMENT)
    recording.writer.stop()
    assert recording.segments() == [(180, 185)]
    assert recording.gaps() == [
        (0, 180, Unavailable.CAMERA_OFF),
        (185, 205, Unavailable.CAMERA_OFF),
    ]


def test_what_somebody_waits_for_does_not_wait_for_its_ten_seconds(
    tmp_path: Path, stream: Stream
) -> None:
    recording = Recording(tmp_path)
    recording.recorder.begin(stream.form)
    wanted = START + timedelta(seconds=3)
    settled = []
    for packet in stream.packets[:40]:
        recording.at = packet.captured_at
        recording.recorder.take(packet)
        settled.append(recording.recorder.settle(wanted))
    recording.recorder.end()
    recording.writer.stop()
    assert settled.index(True) == 16, "with the first key frame after it"
    assert recording.segments() == [(0, 3.2), (3.2, 7.8)]


def test_a_thread_that_was_left_behind_ends_nothing(tmp_path: Path, stream: Stream) -> None:
    recording = Recording(tmp_path)
    recording.recorder.begin(stream.form)
    for packet in stream.packets[:26]:
        recording.recorder.take(packet)
    recording.recorder.end()  # by the reader before, which hung until now
    for packet in stream.packets[26:51]:
        recording.recorder.take(packet)
    recording.recorder.end()
    recording.writer.stop()
    assert recording.segments() == [(0, 5), (5.2, 10)]


def test_a_codec_that_can_not_be_kept_is_no_fault_of_the_camera(
    tmp_path: Path, stream: Stream
) -> None:
    recording = Recording(tmp_path)
    other = Stream(type(stream.form)("vp9", 320, 180, b"", stream.form.time_base), stream.packets)
    with structlog.testing.capture_logs() as said:
        recording.play(other, after_s=5)
        recording.recorder.note_time()
    recording.writer.stop()
    assert recording.segments() == []
    assert recording.gaps() == [(0, 29.8, Unavailable.NOT_COVERED)]
    assert [line["event"] for line in said] == ["codec_not_recorded"]


def test_pictures_that_can_not_be_read_back_are_missing(tmp_path: Path, stream: Stream) -> None:
    recording = Recording(tmp_path)
    broken = Stream(type(stream.form)("h264", 320, 180, b"", stream.form.time_base), stream.packets)
    with structlog.testing.capture_logs() as said:
        recording.play(broken)
        recording.writer.stop()
    assert recording.segments() == []
    assert recording.gaps() == [(0, 24.8, Unavailable.UNREADABLE)]
    assert {line["event"] for line in said} == {"segment_unusable"}


def test_a_full_disk_is_said_once_and_named_as_the_reason(tmp_path: Path, stream: Stream) -> None:
    recording = Recording(tmp_path)
    with structlog.testing.capture_logs() as said, no_file_grows_beyond(4096):
        recording.play(stream, packets=slice(0, 101))  # 20 s
        recording.writer.stop()
    (fault,) = said
    assert fault["event"] == "segment_not_kept"
    assert os_error(errno.EFBIG) in fault["reason"]
    assert recording.segments() == []
    assert recording.gaps() == [(0, 20, Unavailable.DISK_FULL)]


def os_error(number: int) -> str:
    return str(OSError(number, "")).partition("]")[0]


def test_a_disk_that_hangs_never_holds_up_the_camera(tmp_path: Path, stream: Stream) -> None:
    hangs = threading.Event()

    def write(path: Path, content: bytes) -> None:
        hangs.wait(30)
        write_whole(path, content)

    ring = Ring(tmp_path, RingLimits(10**9, timedelta(days=1), 0), write)
    keys = DataKeys(DeviceId("box-1"), lambda: bytes(SERVER.public_key))
    writer = SegmentWriter(ring, keys, lambda: START)
    writer.start()
    writer.put("room", stream.pieces()[0])
    large = Packet(bytes(20 * 2**20), 0, 0, is_key=True, captured_at=START)
    piece = RawSegment(stream.form, (large,), START, START + timedelta(seconds=10))
    with structlog.testing.capture_logs() as said:
        for _ in range(8):
            writer.put("room", piece)
        assert not writer.is_done_with("room")
        assert writer.is_done_with("hall")
        assert [line["event"] for line in said] == ["segment_lost"] * 5
        hangs.set()
        writer.stop()
    assert writer.is_done_with("room")
