"""A sink gets every packet of a film encoded here, whatever of it is decoded."""

from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from edge_agent.core.packets import Packet, StreamFormat
from edge_agent.vision.frames import Demand, Frame
from edge_agent.vision.packet_tap import PacketTap
from edge_agent.vision.video_file import VideoFile
from tests.edge_agent.vision.ring import Ring

START = datetime(2030, 1, 1, tzinfo=UTC)
FPS, WIDTH, HEIGHT = 10, 160, 96


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds with a key frame in each."""
    return encode(tmp_path_factory.mktemp("film") / "film.mkv")


def encode(path: Path, **more: str) -> Path:
    options = {"preset": "ultrafast", "g": "10", **more}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(100):
            grey = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="bgr24")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def test_a_sink_gets_every_packet_though_few_are_decoded(film: Path) -> None:
    ring = Ring()
    source = VideoFile(film, START, sink=ring)
    source.demand = Demand.KEY_FRAMES
    assert len(list(source.frames())) < 25
    assert [(f.codec, f.width, f.height) for f in ring.formats] == [("h264", WIDTH, HEIGHT)]
    assert ring.formats[0].extradata
    assert ring.ends == 1
    assert [p.captured_at for p in ring.packets] == [
        START + timedelta(seconds=n / FPS) for n in range(100)
    ]
    assert [n for n, p in enumerate(ring.packets) if p.is_key] == list(range(0, 100, 10))
    decoded = decode_again(ring.formats[0], ring.packets)
    assert len(decoded) == 100, "what the sink was told is enough to decode it"


def test_pictures_that_lean_on_later_ones_do_not_turn_the_clock_back(tmp_path: Path) -> None:
    ring = Ring()
    film = encode(tmp_path / "film.mkv", bf="2", b_strategy="0")
    assert len(list(VideoFile(film, START, sink=ring).frames())) == 100
    shown = [p.pts for p in ring.packets]
    assert shown != sorted(shown)
    times = [p.captured_at for p in ring.packets]
    assert times == sorted(times)


def test_a_sink_is_told_of_the_end_when_reading_is_given_up(film: Path) -> None:
    ring = Ring()
    frames = VideoFile(film, START, sink=ring).frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]  # a generator
    assert ring.ends == 1


def test_a_thread_that_was_left_behind_says_nothing_more(film: Path) -> None:
    ring = Ring()
    tap = PacketTap(ring)
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        packets = container.demux(stream)
        with tap.open(stream) as take_new:
            with tap.open(stream) as take_newer:
                take_new(next(packets), START)
                take_newer(next(packets), START)
            assert (len(ring.formats), len(ring.packets), ring.ends) == (2, 1, 1)
            take_new(next(packets), START)
    assert (len(ring.formats), len(ring.packets), ring.ends) == (2, 1, 1)


def test_times_that_a_stream_leaves_out_follow_those_before(film: Path) -> None:
    ring = Ring()
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        with PacketTap(ring).open(stream) as take:
            for number, packet in enumerate(container.demux(stream)):
                if packet.size:
                    if number != 5:
                        packet.pts = packet.dts = None
                    take(packet, START)
    times = [packet.dts for packet in ring.packets]
    assert times == sorted(set(times))
    assert [packet.pts for packet in ring.packets] == times


def pictures(steps_s: Sequence[float]) -> Generator[Frame]:
    """Grey pictures, each a bit brighter and so many seconds after its predecessor."""
    at = START
    for number, step_s in enumerate(steps_s):
        at += timedelta(seconds=step_s)
        yield Frame(np.full((HEIGHT, WIDTH, 3), 10 * (number % 20), np.uint8), at)


def test_pictures_without_packets_reach_the_sink_as_jpeg_and_the_reader_as_they_are() -> None:
    ring = Ring()
    read = list(PacketTap(ring).record(pictures([0, 0.2, 0.2, 1, 5])))
    assert [int(frame.image[0, 0, 0]) for frame in read] == [0, 10, 20, 30, 40]
    assert [(f.codec, f.width, f.height) for f in ring.formats] == [("mjpeg", WIDTH, HEIGHT)]
    assert ring.ends == 1
    assert [p.pts for p in ring.packets] == [0, 200, 400, 1400, 6400]
    assert [p.captured_at for p in ring.packets] == [frame.captured_at for frame in read]
    assert all(p.is_key and p.dts == p.pts for p in ring.packets)
    decoded = decode_again(ring.formats[0], ring.packets)
    brightness = [int(p.to_ndarray(format="gray").mean()) for p in decoded]
    assert brightness == pytest.approx([0, 10, 20, 30, 40], abs=3)


def test_no_more_pictures_are_recorded_than_five_a_second() -> None:
    ring = Ring()
    assert len(list(PacketTap(ring).record(pictures([0.05] * 100)))) == 100
    assert len(ring.packets) == 25


def test_a_clock_that_is_set_back_does_not_end_the_recording() -> None:
    ring = Ring()
    list(PacketTap(ring).record(pictures([0, 0.2, -3600, 0.2, 0.2])))
    assert len(ring.packets) == 5


def test_a_source_that_gives_nothing_is_not_begun() -> None:
    ring = Ring()
    assert list(PacketTap(ring).record(pictures([]))) == []
    assert (ring.formats, ring.ends) == ([], 0)


def test_a_source_is_closed_with_the_reading_of_it() -> None:
    ring, source = Ring(), pictures([0, 1, 1])
    frames = PacketTap(ring).record(source)
    next(frames)
    frames.close()  # type: ignore[attr-defined]  # a generator, as all sources' are
    assert ring.ends == 1
    assert list(source) == []


def test_a_stream_that_tells_no_time_is_dated_by_its_arrival(film: Path) -> None:
    ring = Ring()
    arrivals = [START + timedelta(milliseconds=ms) for ms in (0, 130, 370)]
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        with PacketTap(ring).open(stream, tells_time=False) as take:
            for packet, at in zip(container.demux(stream), arrivals, strict=False):
                take(packet, at)
    assert ring.formats[0].time_base == Fraction(1, 1000)
    assert [(p.pts, p.dts) for p in ring.packets] == [(0, 0), (130, 130), (370, 370)]


def decode_again(stream: StreamFormat, packets: Sequence[Packet]) -> list[av.VideoFrame]:
    codec = av.CodecContext.create(stream.codec, "r")
    assert isinstance(codec, VideoCodecContext)
    codec.extradata = stream.extradata

    pictures = [p for packet in packets for p in codec.decode(av.Packet(packet.data))]
    return pictures + codec.decode(None)
