"""Clips begin at a key frame, show what may be shown, keep the clock's time, and play."""

import base64
import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from edge_agent.evidence.clip import ClipError, Piece, make_clip, make_snapshot
from edge_agent.evidence.segments import mux
from edge_agent.vision.privacy import Privacy
from event_protocol.evidence import Span
from tests.edge_agent.evidence.streams import START, Stream, draw_stream, read_stream
from tests.processes.browser import open_page

LIMIT = 50_000_000
CORNER = [[(0.0, 0.0), (0.3, 0.0), (0.3, 0.3), (0.0, 0.3)]]


def pieces_of(stream: Stream) -> list[Piece]:
    return [Piece(mux(raw), raw.begin, raw.end) for raw in stream.pieces()]


def within(pieces: list[Piece], first_s: float, last_s: float) -> tuple[list[Piece], Span]:
    """The pieces that a ring would give for the span."""
    span = Span(begin=START + timedelta(seconds=first_s), end=START + timedelta(seconds=last_s))
    return [p for p in pieces if p.begin <= span.end and span.begin < p.end], span


def show(clip: bytes) -> list[tuple[float, np.ndarray]]:
    """Each picture with its second."""
    with av.open(io.BytesIO(clip), "r") as container:
        return [(f.time or 0.0, f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]


@pytest.fixture(scope="module")
def drawn() -> list[Piece]:
    """25 s in pieces of ten, in key frames alone."""
    return pieces_of(draw_stream("mjpeg", 25))


@pytest.fixture(scope="module")
def desk(testdata: Path) -> list[Piece]:
    return pieces_of(read_stream(testdata / "video" / "desk_one_by_one_a.mp4"))


def test_a_clip_begins_at_the_key_frame_before_and_hides_what_it_must(desk: list[Piece]) -> None:
    pieces, span = within(desk, 8.4, 13)
    clip = make_clip(pieces, span, Privacy(CORNER, None), LIMIT)
    assert clip.find(b"moov") < clip.find(b"mdat")
    shown = show(clip)
    assert shown[0][0] == 0
    assert shown[-1][0] == pytest.approx(5, abs=0.11)  # key frames are a second apart
    assert len(shown) == 51
    for _, picture in shown[::10]:
        height, width = picture.shape[:2]
        assert picture[: int(0.28 * height), : int(0.28 * width)].max() < 24
        assert picture[height // 2 :].mean() > 40
    with av.open(io.BytesIO(clip), "r") as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


def test_the_same_clip_is_made_again(desk: list[Piece]) -> None:
    pieces, span = within(desk, 21, 22)
    first, second = (make_clip(pieces, span, Privacy([], None), LIMIT) for _ in range(2))
    assert first == second


def test_a_pause_in_the_recording_is_shown_and_lasts_as_long(drawn: list[Piece]) -> None:
    pieces, span = within([drawn[0], drawn[2]], 8, 22)
    shown = show(make_clip(pieces, span, Privacy([], None), LIMIT))
    # The square is coloured, the pause is grey; its text is, too.
    grey = [at for at, picture in shown if np.ptp(picture.astype(int), axis=2).max() < 20]
    assert grey == [pytest.approx(2, abs=0.01)]
    assert next(at for at, _ in shown if at > 2) == pytest.approx(12, abs=0.01)
    assert shown[-1][0] == pytest.approx(14, abs=0.01)


def test_a_clip_fits_the_limit(desk: list[Piece]) -> None:
    pieces, span = within(desk, 21, 25.9)
    for limit in (25_000, 60_000):
        assert len(make_clip(pieces, span, Privacy([], None), limit)) < limit


@pytest.mark.parametrize("codec", ["libx265", "mjpeg"])
def test_other_codecs_become_h264(codec: str) -> None:
    pieces, span = within(pieces_of(draw_stream(codec, 12)), 3, 11)
    shown = show(make_clip(pieces, span, Privacy([], None), LIMIT))
    assert shown[-1][0] == pytest.approx(8, abs=1)
    row = shown[0][1][70].astype(int)
    square = row[row[:, 2] > 150]
    assert 50 < len(square) < 70
    assert np.abs(np.median(square, axis=0) - (40, 200, 240)).max() < 30


def test_a_camera_that_changes_its_size_stays_in_one_clip() -> None:
    small = pieces_of(draw_stream("mjpeg", 3))
    large = pieces_of(draw_stream("mjpeg", 2, size=(1602, 902)))
    second = timedelta(seconds=1)
    later = [replace(p, begin=p.begin + 3 * second, end=p.end + 3 * second) for p in large]
    for pieces, size in ((small + later, (180, 320)), (large, (720, 1280))):
        found, span = within(pieces, 0, 9)
        shown = show(make_clip(found, span, Privacy([], None), LIMIT))
        assert {picture.shape[:2] for _, picture in shown} == {size}


def test_a_damaged_piece_costs_no_more_than_itself(drawn: list[Piece]) -> None:
    pieces, span = within(drawn, 0, 24)
    damaged = replace(pieces[1], mp4=pieces[1].mp4[:20_000] + bytes(200_000))
    cut_off = replace(pieces[1], mp4=pieces[1].mp4[:500])
    for broken in (damaged, cut_off):
        shown = show(make_clip([pieces[0], broken, pieces[2]], span, Privacy([], None), LIMIT))
        assert shown[-1][0] == pytest.approx(24, abs=0.11)
    with pytest.raises(ClipError, match="no picture"):
        make_clip([cut_off], span, Privacy([], None), LIMIT)
    with pytest.raises(ClipError, match="no picture"):
        make_snapshot([cut_off], span, Privacy([], None))


def test_a_snapshot_is_the_first_picture_of_the_span(desk: list[Piece]) -> None:
    pieces, span = within(desk, 8.4, 13)
    jpeg = make_snapshot(pieces, span, Privacy(CORNER, None))
    assert jpeg.startswith(b"\xff\xd8\xff")
    ((_, picture),) = show(jpeg)
    clip = show(make_clip(pieces, span, Privacy(CORNER, None), LIMIT))
    differences = [np.abs(picture.astype(int) - p).mean() for _, p in clip]
    assert int(np.argmin(differences)) == 4  # the clip begins 0.4 s earlier
    assert picture[:100, :200].max() < 24


@pytest.mark.processes
def test_a_clip_plays_in_chromium(desk: list[Piece]) -> None:
    pieces, span = within(desk, 8.4, 12)
    clip = make_clip(pieces, span, Privacy(CORNER, None), LIMIT)
    source = "data:video/mp4;base64," + base64.b64encode(clip).decode()
    with open_page() as page:
        page.set_content(f'<video muted src="{source}"></video>')
        played = page.evaluate(
            """async () => {
                const video = document.querySelector("video");
                await video.play();
                video.playbackRate = 8;
                await new Promise(done => video.addEventListener("ended", done));
                const {videoWidth, videoHeight, duration, currentTime} = video;
                const frames = video.getVideoPlaybackQuality().totalVideoFrames;
                return {videoWidth, videoHeight, duration, currentTime, frames};
            }"""
        )
    assert (played["videoWidth"], played["videoHeight"]) == (768, 432)
    assert played["duration"] == pytest.approx(4, abs=0.3)
    assert played["currentTime"] == played["duration"]
    assert played["frames"] > 5
