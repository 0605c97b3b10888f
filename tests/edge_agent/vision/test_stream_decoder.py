"""What is decoded of which stream, seen in streams encoded here: every picture shows its number."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from edge_agent.vision.frames import Demand, Frame
from edge_agent.vision.stage_times import StageTimes
from edge_agent.vision.stream_decoder import KEY_LATE, MAX_SKIPPED, WHEN_OVERDUE_S, StreamDecoder
from edge_agent.vision.video_file import VideoFile

START = datetime(2030, 1, 1, tzinfo=UTC)
FPS, WIDTH, HEIGHT = 10, 160, 96
LEVELS = 200

Recording = Callable[..., Path]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Writes a film whose n-th picture is n grey levels brighter than black."""
    folder = tmp_path_factory.mktemp("films")

    def write(codec: str, keys: Sequence[int], pictures: int = 100, **options: str) -> Path:
        path = folder / f"{codec}-{abs(hash((*keys, pictures, *options.items())))}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=FPS, options={"g": "1000", **options})
            assert isinstance(stream, VideoStream)
            stream.width, stream.height = WIDTH, HEIGHT
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(pictures):
                grey = np.full((HEIGHT, WIDTH, 3), number % LEVELS, np.uint8)
                picture = av.VideoFrame.from_ndarray(grey, format="bgr24")
                picture.pts, picture.time_base = number, Fraction(1, FPS)
                if number in keys:
                    picture.pict_type = av.video.frame.PictureType.I
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.fixture
def one_a_second(record: Recording) -> Path:
    return record("libx264", range(0, 100, 10), preset="ultrafast", forced_idr="1")


def show(
    path: Path, demand: Callable[[float], Demand], source: VideoFile | None = None
) -> dict[float, int]:
    """The number that each picture shows, by its second; `demand` is asked before each packet."""
    source = source or VideoFile(path, START)
    source.demand = demand(0)
    shown: dict[float, int] = {}
    for frame in source.frames():
        at_s = (frame.captured_at - START).total_seconds()
        source.demand = demand(at_s)
        shown[at_s] = round(float(frame.grey.mean()))
    return shown


def keys_only(_at_s: float) -> Demand:
    return Demand.KEY_FRAMES


def all_frames(_at_s: float) -> Demand:
    return Demand.ALL_FRAMES


def numbers(shown: dict[float, int]) -> dict[float, object]:
    """What pictures of those seconds have to show."""
    return {at_s: pytest.approx(at_s * FPS % LEVELS, abs=1.6) for at_s in shown}


CODECS = {
    "libx264": {"preset": "ultrafast", "forced_idr": "1"},
    "libx264 with pictures out of order": {"preset": "fast", "bf": "2", "forced_idr": "1"},
    "libx265": {
        "preset": "ultrafast",
        "x265-params": "log-level=none:bframes=2:keyint=10:open-gop=0",
    },
}


@pytest.mark.parametrize("kind", CODECS)
def test_key_frames_alone_are_shown_once_their_distance_is_known(
    kind: str, record: Recording
) -> None:
    path = record(kind.split()[0], range(0, 100, 10), **CODECS[kind])
    every = show(path, all_frames)
    assert every == numbers(every)
    assert len(every) == 100
    shown = show(path, keys_only)
    assert shown == numbers(shown)
    learnt = [at_s for at_s in shown if at_s < 1]
    assert len(learnt) == 10, "until the second key frame all are decoded"
    assert [at_s for at_s in shown if at_s >= 1] == [float(s) for s in range(1, 10)]


def test_a_film_whose_last_key_frame_is_long_before_its_end_is_not_damaged(
    record: Recording,
) -> None:
    path = record("libx264", (0, 20, 40, 60), 79, preset="ultrafast", forced_idr="1")
    assert list(show(path, keys_only))[-2:] == [4.0, 6.0]


def test_motion_jpeg_is_shown_once_a_second(record: Recording) -> None:
    path = record("mjpeg", range(100))
    shown = show(path, keys_only)
    assert shown == numbers(shown)
    gaps = np.diff(list(shown))
    assert gaps[1:] == pytest.approx(0.75, abs=0.051)
    assert len(show(path, all_frames)) == 100


def test_more_is_shown_at_once_when_it_is_asked_for(one_a_second: Path) -> None:
    """Not from the next key frame: the decoder catches up with what it skipped."""
    asked = iter_packets(one_a_second, lambda at_s: 4.35 <= at_s < 6.35)
    assert asked == numbers(asked)
    times = [at_s for at_s in asked if at_s > 1.5]
    expected = [2.0, 3.0, 4.0, *(n / 10 for n in range(44, 70)), 7.0, 8.0, 9.0]
    assert times == expected, "given up at the first key frame after the demand has ended"


def iter_packets(path: Path, wants_all: Callable[[float], bool]) -> dict[float, int]:
    """As `show`, but the demand changes between packets, not between pictures."""
    shown: dict[float, int] = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = StreamDecoder(stream, StageTimes())
        for packet in container.demux(stream):
            if not packet.size:
                break
            at_s = float((packet.pts or 0) * packet.time_base)
            demand = Demand.ALL_FRAMES if wants_all(at_s) else Demand.KEY_FRAMES
            for picture in decoder.decode(packet, START + timedelta(seconds=at_s), demand):
                shown[round(picture.time or 0, 3)] = round(float(Frame(picture, START).grey.mean()))
    return shown


@pytest.mark.parametrize("keys", [(0,), (0, 40, 80)], ids=["one", "every four seconds"])
def test_where_key_frames_are_too_far_apart_all_are_shown(
    keys: Sequence[int], record: Recording
) -> None:
    path = record("libx264", keys, preset="ultrafast", forced_idr="1")
    shown = show(path, keys_only)
    assert shown == numbers(shown)
    assert len(shown) == 100


def test_a_camera_that_spreads_its_key_frames_is_followed_within_two_seconds(
    record: Recording,
) -> None:
    keys = (0, 10, 20, 30, 80, 90)
    shown = show(record("libx264", keys, preset="ultrafast", forced_idr="1"), keys_only)
    assert shown == numbers(shown)
    times = list(shown)
    assert max(np.diff(times)) <= 2.7
    assert [at_s for at_s in times if 5.8 <= at_s < 8] == [n / 10 for n in range(58, 80)]
    assert times[-1] == 9.0
    assert 8.5 in times, "the distance of the last two is not dense yet"


def test_nothing_is_needed_until_the_next_key_frame_is_due(one_a_second: Path) -> None:
    spare: dict[float, float] = {}
    with av.open(str(one_a_second)) as container:
        stream = container.streams.video[0]
        decoder = StreamDecoder(stream, StageTimes())
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                at_s = round(float(packet.pts * packet.time_base), 3)
                at = START + timedelta(seconds=at_s)
                decoder.decode(packet, at, keys_only(at_s))
                spare[at_s] = decoder.spare_s(at)
    assert all(spare[n / 10] == 0 for n in range(10)), "all are decoded at first"
    late_s = KEY_LATE.total_seconds()
    assert spare[1.0] == pytest.approx(1 + late_s)
    assert spare[4.3] == pytest.approx(0.7 + late_s)
    overdue = START + timedelta(seconds=20)
    assert decoder.spare_s(overdue) == WHEN_OVERDUE_S


def test_a_stream_whose_clock_stands_still_does_not_fill_the_memory(record: Recording) -> None:
    path = record("libx264", (0, 10, 20), 400, preset="ultrafast", forced_idr="1")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = StreamDecoder(stream, StageTimes())
        given = 0
        for number, packet in enumerate(container.demux(stream)):
            at = START + timedelta(seconds=min(number / FPS, 2.5))
            given += len(decoder.decode(packet, at, Demand.KEY_FRAMES))
    assert 300 - 2 * FPS > given > 360 - MAX_SKIPPED


def test_damage_between_key_frames_does_not_reach_those_who_want_no_more(
    one_a_second: Path,
) -> None:
    with av.open(str(one_a_second)) as container:
        stream = container.streams.video[0]
        decoder = StreamDecoder(stream, StageTimes())
        shown = []
        for number, packet in enumerate(container.demux(stream)):
            if not packet.size:
                break
            if number > 10 and number % 10:
                packet.update(bytes(reversed(bytes(packet))))
            at = START + timedelta(seconds=number / FPS)
            shown += decoder.decode(packet, at, Demand.KEY_FRAMES)
    assert [round(float(Frame(p, START).grey.mean())) for p in shown[-8:]] == numbers_of(20, 100)


def numbers_of(first: int, end: int) -> list[object]:
    return [pytest.approx(number, abs=1.6) for number in range(first, end, 10)]
