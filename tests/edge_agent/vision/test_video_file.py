"""Real recordings, whole and damaged."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_agent.vision.frames import Frame, SourceError
from edge_agent.vision.scene import draw
from edge_agent.vision.stage_times import StageTimes
from edge_agent.vision.video_file import DamagedFileError, VideoFile

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the drawn room at 10 fps, its index at the front."""
    path = tmp_path_factory.mktemp("video") / "room.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(draw(1, number / 10), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[list[Frame], VideoFile]:
    source = VideoFile(path, START)
    return list(source.frames()), source


def test_yields_every_frame_with_the_recordings_own_time(recording: Path) -> None:
    times = StageTimes()
    source = VideoFile(recording, START, times=times)
    frames = list(source.frames())
    assert [f.captured_at for f in frames] == [START + timedelta(seconds=n / 10) for n in range(30)]
    assert frames[0].image.shape == (360, 640, 3)
    assert frames[0].image.dtype == np.uint8
    assert source.duration_s == pytest.approx(3, abs=0.1)
    assert times.milliseconds()["decode"] > 0


def test_can_be_paced(recording: Path) -> None:
    began = time.monotonic()
    assert len(list(VideoFile(recording, START, paced=True).frames())) == 30
    assert 2.8 < time.monotonic() - began < 5


def test_a_truncated_file_is_read_as_far_as_it_goes_and_says_so(
    recording: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(recording.read_bytes()[: recording.stat().st_size // 2])
    seen: list[Frame] = []
    with pytest.raises(DamagedFileError, match=r"damaged: it should last 3\.0 s") as caught:
        seen.extend(VideoFile(cut, START).frames())
    assert 5 < len(seen) < 25
    assert str(cut) in str(caught.value)


# Rows of the matrix in a track's header, in 16.16 fixed point, that turn it clockwise.
TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@pytest.mark.parametrize("degrees", TURNS)
def test_a_picture_that_lies_down_is_shown_as_players_do(
    degrees: int, recording: Path, tmp_path: Path
) -> None:
    def matrix(a: int, b: int, c: int, d: int) -> bytes:
        return b"".join(int(n).to_bytes(4, signed=True) for n in (a << 16, b << 16, 0)) + b"".join(
            int(n).to_bytes(4, signed=True) for n in (c << 16, d << 16, 0)
        )

    before, found, after = recording.read_bytes().partition(b"tkhd")
    assert found
    turned = tmp_path / "upright.mp4"
    header = after.replace(matrix(1, 0, 0, 1), matrix(*TURNS[degrees]), 1)
    turned.write_bytes(before + found + header)
    player = cv2.VideoCapture(str(turned))
    is_read, shown = player.read()
    player.release()
    assert is_read
    frames, _ = read(turned)
    assert frames[0].image.shape == shown.shape
    assert np.abs(frames[0].image.astype(int) - shown).mean() < 3
    assert np.abs(frames[0].image.astype(int) - shown[::-1, ::-1]).mean() > 10


def test_damage_in_the_middle_is_stepped_over(testdata: Path, tmp_path: Path) -> None:
    content = bytearray((testdata / "video" / "desk_one_by_one_a.mp4").read_bytes())
    content[400_000:420_000] = bytes(20_000)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    frames, _ = read(damaged)
    assert frames[-1].captured_at > START + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"not a video at all, but text\n" * 50, "not a video"),
        (bytes(5000), "not a video"),
    ],
)
def test_what_is_no_video_is_refused_with_its_name(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "film.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=f"film.mp4: .*{message}"):
        read(path)


def test_a_file_cut_before_its_index_is_refused(testdata: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((testdata / "video" / "cars_no_people.mp4").read_bytes()[:2000])
    with pytest.raises(SourceError):
        read(cut)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a file"):
        read(tmp_path)


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="holds no video"):
        read(path)


@pytest.mark.parametrize("name", ["worker_zone.gif", "classroom.gif", "asl_help.mkv"])
def test_other_formats_are_read_too(name: str, testdata: Path) -> None:
    frames, _ = read(testdata / "video" / name)
    assert len(frames) > 40
