"""Which key frames are looked at, in films encoded here: a noisy room, one key frame a second."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.frame import PictureType
from av.video.stream import VideoStream

from edge_agent.vision.frames import Demand, Frame, GreyImage, Image
from edge_agent.vision.look_back import LookBack, is_alike
from edge_agent.vision.stage_times import StageTimes
from edge_agent.vision.stream_decoder import StreamDecoder
from edge_agent.vision.video_file import VideoFile

START = datetime(2030, 1, 1, tzinfo=UTC)
FPS, WIDTH, HEIGHT, SECONDS = 5, 320, 180, 16
ROOM = np.random.default_rng(3).integers(60, 180, (9, 16)).repeat(20, 0).repeat(20, 1)

Draw = Callable[[Image, float], None]


def lively(at_s: float) -> Image:
    dice = np.random.default_rng(round(at_s * 1000))
    noise = dice.normal(0, 6, (HEIGHT // 2, WIDTH // 2)).repeat(2, 0).repeat(2, 1)
    return np.repeat(grey(ROOM + noise)[:, :, None], 3, axis=2)


def grey(picture: npt.NDArray[np.float64]) -> GreyImage:
    return np.clip(picture, 0, 255).astype(np.uint8)


def record(
    path: Path,
    draw: Draw,
    *,
    key_every_s: float = 1,
    frozen_from_s: float = 99,
    last_key_s: int = 99,
) -> Path:
    options = {"preset": "ultrafast", "crf": "12", "g": "1000", "forced_idr": "1", "bf": "0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(SECONDS * FPS):
            at_s = min(number / FPS, frozen_from_s)
            image = lively(at_s)
            draw(image, at_s)
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            is_key = number % round(key_every_s * FPS) == 0 and number <= last_key_s * FPS
            picture.pict_type = PictureType.I if is_key else PictureType.NONE
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def looked_at(path: Path, demand: Demand = Demand.CHANGES) -> list[float]:
    """The seconds of the pictures in the order in which they are to be seen, the first ones not."""
    source = VideoFile(path, START)
    source.demand = demand
    frames = [one for frame in source.frames() for one in (frame.before, frame) if one is not None]
    times = [(frame.captured_at - START).total_seconds() for frame in frames]
    assert times == sorted(times), "one that was passed over comes before the next"
    return [at_s for at_s in times if at_s >= 1]


def nothing(_image: Image, _at_s: float) -> None:
    """An empty room."""


def somebody(image: Image, at_s: float) -> None:
    """Who comes at 6.5 s and goes at 11.5 s."""
    if 6.5 <= at_s < 11.5:
        image[60:160, 120:180] = 20


def passer_by(image: Image, at_s: float) -> None:
    """Before the camera for less than a second."""
    if 6.6 <= at_s < 7.4:
        image[60:160, 120:180] = 20


def test_a_calm_room_is_looked_at_every_other_second(tmp_path: Path) -> None:
    calm = record(tmp_path / "calm.mp4", nothing)
    assert looked_at(calm) == [1, 2, 4, 6, 8, 10, 12, 14]
    assert looked_at(calm, Demand.KEY_FRAMES) == list(range(1, SECONDS))


def test_where_something_changes_the_key_frame_that_was_passed_over_is_seen_first(
    tmp_path: Path,
) -> None:
    """Both the one before and the one after the change, whichever second it began in."""
    times = looked_at(record(tmp_path / "visit.mp4", somebody))
    assert times == [1, 2, 4, 6, 7, 8, 9, 11, 12, 13, 14]


def test_what_comes_and_goes_between_two_looks_is_passed_over(tmp_path: Path) -> None:
    times = looked_at(record(tmp_path / "passer-by.mp4", passer_by))
    assert 7 not in times


def test_a_picture_that_is_sent_again_and_again_is_looked_at_each_second(tmp_path: Path) -> None:
    times = looked_at(record(tmp_path / "frozen.mp4", nothing, frozen_from_s=6.5))
    assert times[:4] == [1, 2, 4, 6]
    assert times[-8:] == list(range(8, 16))
    assert 9 in times


@pytest.mark.parametrize("key_every_s", [1.2, 2])
def test_key_frames_further_apart_are_all_looked_at(tmp_path: Path, key_every_s: float) -> None:
    times = looked_at(record(tmp_path / "sparse.mp4", nothing, key_every_s=key_every_s))
    expected = [number * key_every_s for number in range(1, int(SECONDS / key_every_s) + 1)]
    assert [at_s for at_s in times if at_s >= key_every_s] == pytest.approx(
        [at_s for at_s in expected if at_s < SECONDS]
    )


@pytest.mark.parametrize(("key_every_s", "look_every_s"), [(1, 2), (1.2, 1.2)])
def test_the_distance_is_told_by_the_cameras_clock(
    tmp_path: Path, key_every_s: float, look_every_s: float
) -> None:
    """Packets come late by up to a tenth of a second, or early."""
    film = record(tmp_path / "uneven.mp4", nothing, key_every_s=key_every_s)
    shown: list[Frame] = []
    keys = 0
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        decoder = StreamDecoder(stream, StageTimes())
        look_back = LookBack(decoder)
        for packet in container.demux(stream):
            if packet.size:
                late_s = 0.1 * (keys % 2)
                keys += packet.is_keyframe
                at_s = float((packet.pts or 0) * packet.time_base) + late_s
                at = START + timedelta(seconds=at_s)
                for picture in decoder.decode(packet, at, Demand.CHANGES):
                    shown.append(look_back.complete(Frame(picture, at)))
    times = [(one.captured_at - START).total_seconds() for one in shown]
    gaps = np.diff([at_s for at_s in times if at_s > 3])
    assert gaps == pytest.approx(look_every_s, abs=0.11)
    assert len(gaps) > 4


def test_the_one_passed_over_last_is_seen_when_no_key_frame_comes_any_more(tmp_path: Path) -> None:
    """An encoder that spreads its key frames: the next look is due at eight seconds."""
    times = looked_at(record(tmp_path / "late.mp4", nothing, last_key_s=7))
    at = times.index(6)
    assert times[at : at + 2] == [6, 7]
    assert 8.2 < times[at + 2] < 8.7
    assert len(times[at + 2 :]) > 6 * FPS, "from then on all"


def test_the_one_passed_over_is_seen_when_more_is_asked_for(tmp_path: Path) -> None:
    shown: list[Frame] = []
    with av.open(str(record(tmp_path / "asked.mp4", nothing))) as container:
        stream = container.streams.video[0]
        decoder = StreamDecoder(stream, StageTimes())
        look_back = LookBack(decoder)
        for packet in container.demux(stream):
            at_s = round(float((packet.pts or 0) * packet.time_base), 3)
            demand = Demand.ALL_FRAMES if at_s > 7.3 else Demand.CHANGES
            at = START + timedelta(seconds=at_s)
            pictures = decoder.decode(packet, at, demand) if packet.size else []
            shown += [look_back.complete(Frame(picture, at)) for picture in pictures]
    first = next(one for one in shown if one.captured_at > START + timedelta(seconds=7))
    assert first.captured_at == START + timedelta(seconds=7.4)
    assert first.before is not None
    assert first.before.captured_at == START + timedelta(seconds=7)
    assert all(one.before is None for one in shown if one is not first)


@pytest.mark.parametrize("light", [1.0, 0.25], ids=["by day", "in the dusk"])
def test_a_hand_on_the_desk_is_no_change_and_somebody_who_comes_is(light: float) -> None:
    room = np.random.default_rng(1).integers(120, 250, (90, 160))
    noise = [np.random.default_rng(n).normal(0, 4, (90, 160)) for n in (2, 3)]
    before, after = ((room + one) * light for one in noise)
    hand = after.copy()
    hand[51:57, 72:78] = 40 * light
    person = after.copy()
    person[30:80, 60:90] = 40 * light

    assert is_alike(grey(after), grey(before))
    assert is_alike(grey(hand), grey(before))
    assert not is_alike(grey(person), grey(before))
    assert not is_alike(grey(before), grey(before)), "nothing that lives"
    assert not is_alike(grey(after * 1.2), grey(before)), "another light"
