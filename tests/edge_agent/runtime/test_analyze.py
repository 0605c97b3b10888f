"""`edge-agent analyze` as a program, on real footage with ground truth."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edge_agent.main import app
from edge_agent.runtime.analyze import AnalysisError, parse_span
from event_protocol.codec import Accepted, decode_event
from event_protocol.names import NO_HASH, DeviceId

Interval = tuple[float, float]

# Polygons in pixels of the desk clip, and the label that each is to be scored on.
AROUND_TABLE = [[370, 15], [575, 15], [575, 425], [370, 425]]
SHAPES = {
    "table": (AROUND_TABLE, "customer_in_zone"),
    "triangle": ([[470, 15], [575, 425], [370, 425]], "customer_in_zone"),
    "hexagon": (
        [[420, 15], [520, 15], [590, 220], [520, 425], [420, 425], [350, 220]],
        "customer_in_zone",
    ),
    "picture": ([[0, 0], [768, 0], [768, 432], [0, 432]], "any_person_in_view"),
}


@pytest.fixture(scope="module")
def clip(testdata: Path) -> dict[str, Any]:
    clips = json.loads((testdata / "ground_truth.json").read_text())["clips"]
    (found,) = [c for c in clips if c["file"] == "video/desk_one_by_one_a.mp4"]
    return dict(found)


@pytest.fixture(scope="module")
def zones_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zones") / "zones.json"
    zones = {
        name: {"role": "citizen", "polygon": [[x / 768, y / 432] for x, y in polygon]}
        for name, (polygon, _) in SHAPES.items()
    }
    path.write_text(json.dumps({"zones": zones}))
    return path


def analyze(video: Path, zones: Path, *options: str) -> Result:
    """The command, in this process."""
    return CliRunner().invoke(app, ["analyze", str(video), "--zones", str(zones), *options])


def read_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def changes(lines: Sequence[dict[str, Any]], zone: str) -> list[tuple[float, str]]:
    return [(line["t"], line["state"]) for line in lines if line.get("zone") == zone]


def check_against(told: list[tuple[float, str]], labels: list[Interval], seconds: int) -> None:
    """Stays and their times, and per-second presence outside 0.6 s of a label's boundary."""
    assert told[0] == (0, "empty")
    assert [state for _, state in told[1:]] == ["occupied", "empty"] * len(labels)
    for (time, _), truth in zip(told[1:], [t for label in labels for t in label], strict=True):
        assert abs(time - truth) <= 1.5
    counts = {True: [0, 0], False: [0, 0]}
    for second in range(seconds):
        middle = second + 0.5
        if all(abs(middle - edge) >= 0.6 for label in labels for edge in label):
            truth = any(begin <= middle < end for begin, end in labels)
            state = [s for t, s in told if t <= middle][-1]
            counts[truth][(state == "occupied") is truth] += 1
    (missed, found), (false, quiet) = counts[True], counts[False]
    assert 2 * found / (2 * found + missed + false) >= 0.97
    assert quiet / (quiet + false) >= 0.95


@pytest.fixture(scope="module")
def desk_lines(testdata: Path, clip: dict[str, Any], zones_file: Path) -> list[dict[str, Any]]:
    """What the program itself prints."""
    command = [sys.executable, "-m", "edge_agent", "analyze", str(testdata / clip["file"])]
    command += ["--zones", str(zones_file), "--empty", "0-5"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return read_lines(run.stdout)


@pytest.mark.parametrize("zone", SHAPES)
def test_finds_the_stays_of_the_desk_clip_in_zones_of_any_shape(
    desk_lines: list[dict[str, Any]], clip: dict[str, Any], zone: str
) -> None:
    check_against(changes(desk_lines, zone), clip[SHAPES[zone][1]], int(clip["seconds"]))


def test_lines_are_in_order_and_begin_with_every_state(desk_lines: list[dict[str, Any]]) -> None:
    times = [line["t"] for line in desk_lines]
    assert times == sorted(times)
    states = [line for line in desk_lines if "event" not in line]
    assert states[0] == {"t": 0.0, "camera": "ok"}
    assert states[1:5] == [{"t": 0.0, "zone": zone, "state": "empty"} for zone in SHAPES]
    assert [line for line in states if "camera" in line] == states[:1]


def test_the_wire_events_are_valid_and_chained(desk_lines: list[dict[str, Any]]) -> None:
    head, sessions = NO_HASH, []
    events = [line["event"] for line in desk_lines if "event" in line]
    for number, event in enumerate(events, start=1):
        decoded = decode_event(DeviceId("analyze"), json.dumps(event).encode())
        assert isinstance(decoded, Accepted), decoded
        assert decoded.position.sequence == number
        assert decoded.event.prevhash == head
        head = decoded.hash
        if event["data"].get("zone") == "table":
            sessions.append(event["data"].get("session_id"))
    assert len(events) == sum("event" not in line for line in desk_lines)
    assert len({session for session in sessions if session}) == 3


@pytest.mark.parametrize(
    ("gain", "offset", "noise", "from_s"),
    [(0.4, 0, 5, 0), (1.3, 20, 0, 0), (0.55, 10, 4, 5)],
    ids=["dim and noisy", "bright", "dimmed after calibration"],
)
def test_other_light_and_noise_do_not_matter(
    gain: float,
    offset: float,
    noise: float,
    from_s: float,
    clip: dict[str, Any],
    testdata: Path,
    zones_file: Path,
    tmp_path: Path,
) -> None:
    changed = tmp_path / "changed.mp4"
    grain = np.random.default_rng(1).normal(0, noise, (216, 384, 3)).astype(np.float32)
    with av.open(str(testdata / clip["file"])) as source, av.open(str(changed), "w") as target:
        stream = target.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 384, 216, "yuv420p", 10**7
        for number, picture in enumerate(source.decode(video=0)):
            if number % 2:
                continue
            image = picture.to_ndarray(format="bgr24", width=384, height=216).astype(np.float32)
            if number / 10 >= from_s:
                image = image * gain + offset + np.roll(grain, 7919 * number)
            image = np.clip(image, 0, 255).astype(np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        target.mux(stream.encode(None))
    run = analyze(changed, zones_file, "--empty", "0-5")
    lines = read_lines(run.stdout)
    for zone in ("table", "picture"):
        check_against(changes(lines, zone), clip[SHAPES[zone][1]], int(clip["seconds"]))


def test_without_calibration_presence_stays_unknown(
    testdata: Path, zones_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "lines.jsonl"
    video = testdata / "video" / "asl_help.mkv"
    run = analyze(video, zones_file, "--jsonl", str(output))
    assert (run.exit_code, run.stdout) == (0, "")
    states = [line for line in read_lines(output.read_text()) if "event" not in line]
    assert states == [
        {"t": 0.0, "camera": "ok"},
        *({"t": 0.0, "zone": zone, "state": "unknown"} for zone in SHAPES),
    ]


@pytest.mark.parametrize("name", ["cars_no_people.mp4", "worker_zone.gif", "classroom.gif"])
def test_other_footage_is_analysed_without_complaint(
    name: str, testdata: Path, zones_file: Path
) -> None:
    run = analyze(testdata / "video" / name, zones_file, "--empty", "0-0.5")
    lines = read_lines(run.stdout)
    assert (run.exit_code, run.stderr) == (0, "")
    assert {line["zone"] for line in lines if line["t"] == 0 and "zone" in line} == set(SHAPES)


def test_a_truncated_video_is_analysed_as_far_as_it_goes_and_that_is_said(
    testdata: Path, clip: dict[str, Any], zones_file: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.mkv"
    content = (testdata / "video" / "asl_help.mkv").read_bytes()
    cut.write_bytes(content[: len(content) // 3])
    run = analyze(cut, zones_file)
    assert run.exit_code == 0
    assert read_lines(run.stdout)[0] == {"t": 0.0, "camera": "ok"}
    assert "truncated or damaged" in run.stderr


def test_of_a_span_without_pictures_presence_is_unknown_and_the_camera_keeps_its_state(
    testdata: Path, clip: dict[str, Any], zones_file: Path, tmp_path: Path
) -> None:
    paused, begin, pause, end = tmp_path / "paused.mp4", 8.0, 30.0, 16.0
    with av.open(str(testdata / clip["file"])) as source, av.open(str(paused), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        is_after = False
        for packet in source.demux(video=0):
            if packet.pts is None or packet.dts is None or packet.pts * packet.time_base > end:
                continue
            is_after |= packet.is_keyframe and float(packet.pts * packet.time_base) >= begin
            shift = int(pause / packet.time_base) if is_after else 0
            packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
            target.mux(packet)
    lines = read_lines(analyze(paused, zones_file, "--empty", "0-5").stdout)
    assert {line["camera"] for line in lines if "camera" in line} == {"ok"}
    for zone in SHAPES:
        told = changes(lines, zone)
        assert [state for _, state in told] == ["empty", "occupied", "unknown", "occupied"]
        assert [t for t, _ in told[2:]] == pytest.approx([begin, begin + pause], abs=0.2)


@pytest.mark.parametrize(
    ("video", "zones", "options", "message"),
    [
        ("missing.mp4", None, (), "missing.mp4: no such file"),
        ("empty.mp4", None, (), "empty.mp4: the file is empty"),
        ("text.mp4", None, (), "text.mp4: not a video"),
        ("asl", "zones: {a: {role: citizen, polygon: [[0, 0], [2, 0], [1, 1]]}}", (), "zone a: po"),
        ("asl", "zones: {a: {role: citizen, polygon: [[0, 0], [1, 1]]}}", (), "zone a: 2 diff"),
        ("asl", None, ("--empty", "5"), "--empty 5: must be START-END"),
        ("asl", None, ("--empty", "5-2"), "--empty 5-2: the end must be after the start"),
        ("asl", None, ("--empty", "900-901"), "has no picture in that time"),
        ("asl", None, ("--jsonl", "/nowhere/lines.jsonl"), "--jsonl /nowhere/lines.jsonl: no such"),
    ],
)
def test_wrong_input_is_named_in_one_line_without_a_traceback(
    video: str,
    zones: str | None,
    options: Sequence[str],
    message: str,
    testdata: Path,
    zones_file: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    path = testdata / "video" / "asl_help.mkv" if video == "asl" else tmp_path / video
    if zones is not None:
        zones_file = tmp_path / "zones.yaml"
        zones_file.write_text(zones)
    run = analyze(path, zones_file, *options)
    assert (run.exit_code, run.stdout) == (2, "")
    assert message in run.stderr
    assert run.stderr.count("\n") == 1


def test_spans() -> None:
    assert parse_span("0-3.5") == (0, 3.5)
    assert parse_span(" 10.25-20 ") == (10.25, 20)
    for text in ("", "3", "a-b", "-1-3", "3-3", "0-inf"):
        with pytest.raises(AnalysisError, match="--empty"):
            parse_span(text)


def test_the_analysis_clock_can_not_pass_for_a_desk_s(desk_lines: list[dict[str, Any]]) -> None:
    times = [
        datetime.fromisoformat(line["event"]["time"]) for line in desk_lines if "event" in line
    ]
    assert min(times) == datetime(1970, 1, 1, tzinfo=UTC)
    assert all(0 <= line["t"] <= 72 for line in desk_lines)
