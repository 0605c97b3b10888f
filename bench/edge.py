"""What cameras cost the edge, as a whole process, beside what common video recorders do.

The cameras send the drawn room as H.264, 640×360 at 25 frames a second, over loopback. A real
`edge-agent run` and the common way watch the same ones at the same time; what is counted is the
processor time that each of both processes took.
"""

import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import cv2
import psutil

from bench.report import Figure
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision import scene
from edge_agent.vision.stage_times import StageTimes
from edge_agent.vision.video_file import VideoFile
from event_protocol.names import DeskId
from tests.processes.edge_agent import DESK, READY, EdgeAgent
from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program

FPS, SEED = 25, 1
BIT_RATE = 800_000  # what makers set for a second stream of this size
START = datetime(2026, 1, 5, tzinfo=UTC)
EMPTY_S, STEADY_S = 6, 18  # of the film
STEADY_FOR_S = 4.0
SETTLE_S, MEASURE_S = 15.0, 20.0
MANY = 5
CHEAPER, CAMERAS_A_CORE, ANALYSIS_MS, CAMERA_MB = 5, 100, 3, 15
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process: milliseconds of processor per second of its cameras, memory."""

    ms_per_s: float
    memory_mb: float


def measure(folder: Path) -> list[Figure]:
    """Processor and memory by camera; milliseconds a frame by stage."""
    quiet, busy = find_steady(citizen=False), find_steady(citizen=True)
    figures = []
    for key_every_s in (1, 2):
        film = folder / f"quiet-{key_every_s}.mp4"
        encode(film, quiet, key_every_s)
        ours, common = run(folder / f"many-{key_every_s}", film, MANY, with_common=True)
        figures += compare(ours, common, key_every_s)
        if key_every_s == 1:
            many = ours
    one, _ = run(folder / "one", folder / "quiet-1.mp4", 1)
    film = folder / "busy.mp4"
    encode(film, busy, 1)
    served, _ = run(folder / "busy", film, 1)
    return [
        *figures,
        Figure(
            "edge: memory per further camera",
            (many.memory_mb - one.memory_mb) / (MANY - 1),
            "MB",
            CAMERA_MB,
            is_limit=True,
            note=f"1 camera {one.memory_mb:.0f} MB, {MANY} {many.memory_mb:.0f} MB",
        ),
        Figure(
            "edge: CPU with one camera, nobody served",
            one.ms_per_s / 10,
            "%",
            note="of one core, the agent's other work included",
        ),
        Figure(
            "edge: CPU with one camera while a citizen is served",
            served.ms_per_s / 10,
            "%",
            note="all frames decoded, codes looked for",
        ),
        *measure_stages(film),
    ]


def compare(ours: Cost, common: Cost, key_every_s: int) -> list[Figure]:
    """The whole process divided by its cameras, and the common one likewise."""
    mine, theirs = ours.ms_per_s / MANY, common.ms_per_s / MANY
    keys = f"key frames every {key_every_s} s"
    return [
        Figure(
            f"edge: times cheaper than all frames and MOG2, {keys}",
            theirs / mine,
            "×",
            CHEAPER,
            note=f"{mine:.1f} against {theirs:.1f} ms a camera-second, {MANY} cameras each",
        ),
        Figure(f"edge: cameras per core, {keys}", 1000 / mine, "", CAMERAS_A_CORE),
    ]


def measure_stages(film: Path) -> list[Figure]:
    """Milliseconds a frame of the stages of one process's work, all frames analysed."""
    cv2.setNumThreads(1)  # as the agent does
    times = StageTimes()
    pipeline = DeskPipeline("camera", {DeskId("desk"): scene.ZONES}, uuid4, times)
    pipeline.calibrate_between(START, START + timedelta(seconds=scene.EMPTY_S))
    for frame in VideoFile(film, START, times=times).frames():
        pipeline.observe(frame)
    stage_ms = times.milliseconds()
    return [
        Figure("edge: decode", stage_ms.pop("decode"), "ms", note="a frame of the stream"),
        Figure("edge: qr", stage_ms.pop("qr"), "ms", note="a look for codes"),
        Figure(
            "edge: analysis",
            sum(stage_ms.values()),
            "ms",
            ANALYSIS_MS,
            is_limit=True,
            note="a frame: " + ", ".join(f"{name} {ms:.2f}" for name, ms in stage_ms.items()),
        ),
    ]


# --- the cameras ---------------------------------------------------------------------------------


def find_steady(*, citizen: bool) -> float:
    """A second of the scene after which officer and, or without, citizen stay for a while."""
    for begin_s in itertools.count(int(scene.EMPTY_S)):
        around = [scene.truth_at(SEED, begin_s + step) for step in range(-3, int(STEADY_FOR_S) + 3)]
        if all(
            zones == {"officer": True, "citizen": citizen, "waiting": False} for zones in around
        ):
            return float(begin_s)
    raise AssertionError("the scene has no end")


def encode(film: Path, steady_at_s: float, key_every_s: int) -> None:
    """The empty room, then the steady seconds to and fro, as a camera codes them."""
    options = {"preset": "veryfast", "g": str(FPS * key_every_s), "bf": "0", "sc_threshold": "0"}
    with av.open(str(film), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = scene.WIDTH, scene.HEIGHT, "yuv420p"
        stream.bit_rate = BIT_RATE
        stream.time_base = Fraction(1, FPS)
        for number, at_s in enumerate(scene_times(steady_at_s)):
            picture = av.VideoFrame.from_ndarray(scene.draw(SEED, at_s), format="bgr24")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def scene_times(steady_at_s: float) -> Iterator[float]:
    """Which second of the scene each frame shows."""
    for number in range(EMPTY_S * FPS):
        yield number / FPS % scene.EMPTY_S
    for number in range(STEADY_S * FPS):
        into_s = number / FPS % (2 * STEADY_FOR_S)
        back_s = 2 * STEADY_FOR_S - into_s
        # Noise goes by the millisecond: no camera shows the very same picture twice.
        yield steady_at_s + (into_s if into_s < back_s else back_s + 0.002)


# --- the processes -------------------------------------------------------------------------------


def run(folder: Path, film: Path, cameras: int, *, with_common: bool = False) -> tuple[Cost, Cost]:
    """The cost of an agent with so many cameras, and of the common way beside it."""
    folder.mkdir()
    port = free_port()
    urls = [f"http://127.0.0.1:{port}/{number}" for number in range(cameras)]
    with ExitStack() as running:
        arguments = [sys.executable, "-m", "bench.paced_camera", str(film), str(port), str(EMPTY_S)]
        running.enter_context(Program(arguments, folder / "camera.log"))
        wait_until(lambda: is_listening(port), what="the cameras listen")
        agent = running.enter_context(EdgeAgent(folder, free_port(), settings(urls), delivery={}))
        agent.wait_for_output(READY)
        processes = [psutil.Process(agent.pid)]
        if with_common:
            arguments = [sys.executable, "-m", "bench.common_recorder", *urls]
            common = running.enter_context(Program(arguments, folder / "common.log"))
            processes.append(psutil.Process(common.pid))
        time.sleep(SETTLE_S)
        costs = count(processes)
    return costs[0], costs[-1]


def settings(urls: Sequence[str]) -> list[dict[str, Any]]:
    """The agent's cameras, each with a desk of its own in the drawn room."""
    zones = {
        zone.name: {"role": zone.role.value, "polygon": [list(corner) for corner in zone.polygon]}
        for zone in scene.ZONES
    }
    return [
        {
            "name": f"camera-{number}",
            "source": url,
            "empty": f"0-{scene.EMPTY_S:g}",
            "desks": [{"desk": f"{DESK}-{number}", "zones": zones}],
        }
        for number, url in enumerate(urls)
    ]


def count(processes: Sequence[psutil.Process]) -> list[Cost]:
    """What each takes from now on."""
    before = [sum(process.cpu_times()[:2]) for process in processes]
    time.sleep(MEASURE_S)
    return [
        Cost(
            1000 * (sum(process.cpu_times()[:2]) - used) / MEASURE_S,
            process.memory_info().rss / MEGABYTE,
        )
        for process, used in zip(processes, before, strict=True)
    ]
