"""What recording costs a camera: from its packets to encrypted segments on the disk, and cutting.

The film is the one of `bench/edge.py`; all is fed as fast as it goes, so that the processor's time
is that of the work alone.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nacl.public import PrivateKey

from bench.edge import MEGABYTE, encode, find_steady
from bench.report import Figure
from edge_agent.core.packets import Packet, StreamFormat
from edge_agent.delivery.files import write_whole
from edge_agent.evidence.clip import Piece, make_clip
from edge_agent.evidence.data_keys import DataKeys
from edge_agent.evidence.recorder import CameraRecorder, SegmentWriter
from edge_agent.evidence.ring import Ring, RingLimits, survey
from edge_agent.evidence.segment_builder import RawSegment, SegmentBuilder
from edge_agent.evidence.segments import mux
from edge_agent.vision import scene
from edge_agent.vision.face_detector import load_face_detector
from edge_agent.vision.frames import Demand, Frame
from edge_agent.vision.packet_tap import PICTURE_EVERY, PacketTap
from edge_agent.vision.privacy import Privacy
from edge_agent.vision.video_file import VideoFile
from event_protocol.evidence import Span
from event_protocol.names import DeviceId

START = datetime(2026, 1, 5, tzinfo=UTC)
CAMERAS = 8
PICTURES_S = 20  # of a camera without packets
CUT_S = 10
NO_LIMIT = RingLimits(10**12, timedelta(days=1), 0)
HOUR_S = 3600


class _Packets:
    """A sink that keeps all, to be played again."""

    def __init__(self) -> None:
        self.form: StreamFormat | None = None
        self.packets: list[Packet] = []

    def begin(self, stream: StreamFormat) -> None:
        self.form = stream

    def take(self, packet: Packet) -> None:
        self.packets.append(packet)

    def end(self) -> None:
        """There is no more."""


def measure(folder: Path) -> list[Figure]:
    """Of a network camera, of one without packets, and of a clip."""
    film = folder / "film.mp4"
    encode(film, find_steady(citizen=True), key_every_s=1)
    network, drawn = _Packets(), _Packets()
    source = VideoFile(film, START, sink=network)
    source.demand = Demand.KEY_FRAMES
    for _ in source.frames():
        pass
    pictures = list(_pictures())
    began = time.process_time()
    for _ in PacketTap(drawn).record(frame for frame in pictures):
        pass
    coding_ms = 1000 * (time.process_time() - began) / PICTURES_S
    return [
        *_record("ring: 25 fps, 800 kbit/s H.264", folder / "network", network, 0),
        *_record("ring: five JPEG pictures a second", folder / "drawn", drawn, coding_ms),
        *_cut(network),
    ]


def _pictures() -> Iterator[Frame]:
    for number in range(int(PICTURES_S / PICTURE_EVERY.total_seconds())):
        at = number * PICTURE_EVERY
        yield Frame(scene.draw(1, at.total_seconds()), START + at)


def _record(name: str, folder: Path, played: _Packets, coding_ms: float) -> list[Figure]:
    """Several cameras, so that the figure is no smaller than a tick of the system's clock."""
    assert played.form is not None  # noqa: S101 - it was played
    ring = Ring(folder, NO_LIMIT, write_whole)
    server = bytes(PrivateKey.generate().public_key)
    last = played.packets[-1].captured_at
    writer = SegmentWriter(ring, DataKeys(DeviceId("box"), lambda: server), lambda: last)
    began = time.process_time()
    writer.start()
    for number in range(CAMERAS):
        recorder = CameraRecorder(f"camera-{number}", writer, lambda: last)
        recorder.begin(played.form)
        for packet in played.packets:
            recorder.take(packet)
        recorder.end()
    writer.stop()
    seconds = CAMERAS * (last - START).total_seconds()
    cost_ms = 1000 * (time.process_time() - began) / seconds + coding_ms
    kept = sum(one.size for one in survey(folder).values())
    waiting = max(piece.size for piece in _pieces(played))
    return [
        Figure(f"{name}: a camera", cost_ms, "ms/s"),
        Figure(f"{name}: on disk", kept / seconds * HOUR_S / MEGABYTE, "MB/h"),
        Figure(f"{name}: in memory until it is written", waiting / MEGABYTE, "MB"),
    ]


def _pieces(played: _Packets) -> list[RawSegment]:
    assert played.form is not None  # noqa: S101 - it was played
    builder = SegmentBuilder(played.form)
    taken = [builder.take(packet) for packet in played.packets]
    return [piece for piece in (*taken, builder.finish()) if piece is not None]


def _cut(played: _Packets) -> list[Figure]:
    """With one core's work, whatever OpenCV and x264 share among several."""
    pieces = [Piece(mux(raw), raw.begin, raw.end) for raw in _pieces(played)]
    span = Span(begin=START, end=START + timedelta(seconds=CUT_S))
    figures = []
    for what, detector in (("faces looked for", load_face_detector()), ("masks alone", None)):
        began = time.process_time()
        make_clip(pieces, span, Privacy([], detector), 10**8)
        cost_ms = 1000 * (time.process_time() - began) / CUT_S
        figures.append(Figure(f"clip: a second of it, {what}", cost_ms, "ms"))
    return figures
