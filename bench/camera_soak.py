"""`python -m bench soak cameras [MINUTES]`: an hour of live video through a real agent, or more.

Its memory must be flat. Half of the cameras show a desk at which nobody is served, half one with a
citizen. Each minute the cameras of one half die and come back, so that what a reconnect leaves
behind would add up.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil
from rich.console import Console

from bench.edge import EMPTY_S, MEGABYTE, encode, find_steady, settings
from tests.processes.edge_agent import READY, EdgeAgent
from tests.processes.ports import free_port, is_listening, wait_until
from tests.processes.program import Program

CAMERAS, MINUTES = 8, 7.5  # an hour of video
SAMPLE_S, DISTURB_S = 5.0, 60.0
# Both halves have died and come back by then, and all that is filled once is full.
WARM_UP_S = 150.0
# FFmpeg keeps the beginning of a stream for most of a minute, 4.8 MB in the end. What is judged is
# therefore the level of whole rounds, in which both halves die once.
ROUND_S = 2 * DISTURB_S
# From the first round after the warm-up to the last one, three minutes later or more. A picture of
# 640 × 360 that is left behind whenever a camera dies makes 4 of it.
MAX_GROWTH_MB = 3.0


def soak_cameras(console: Console, minutes: float = MINUTES) -> int:
    """Watch, sample and judge; the exit code."""
    with tempfile.TemporaryDirectory(prefix="onestop-soak-") as name, ExitStack() as running:
        folder = Path(name)
        console.print("drawing what the cameras show …")
        halves = [_start_cameras(folder, is_busy) for is_busy in (False, True)]
        for half, _ in halves:
            running.enter_context(half)
        wait_until(lambda: all(is_listening(port) for _, port in halves), what="cameras listen")
        urls = [f"http://127.0.0.1:{halves[n % 2][1]}/{n}" for n in range(CAMERAS)]
        agent = running.enter_context(EdgeAgent(folder / "agent", free_port(), settings(urls)))
        agent.wait_for_output(READY)
        samples = _watch(agent, [half for half, _ in halves], minutes, console)
        if not agent.is_running:
            sys.stderr.write(agent.output[-4000:])
            return 1
    return _judge(samples, console)


def _start_cameras(folder: Path, is_busy: bool) -> tuple[Program, int]:
    film = folder / f"busy-{is_busy}.mp4"
    encode(film, find_steady(citizen=is_busy), key_every_s=1)
    port = free_port()
    arguments = [sys.executable, "-m", "bench.paced_camera", str(film), str(port), str(EMPTY_S)]
    return Program(arguments, folder / "camera.log"), port


def _watch(
    agent: EdgeAgent, halves: list[Program], minutes: float, console: Console
) -> list[float]:
    """Megabytes of the agent's memory over the time, the cameras dying in turn."""
    process = psutil.Process(agent.pid)
    began = disturbed_at = time.monotonic()
    samples: list[float] = []
    disturbances = 0
    while time.monotonic() - began < 60 * minutes and agent.is_running:
        time.sleep(SAMPLE_S)
        samples.append(process.memory_info().rss / MEGABYTE)
        if time.monotonic() - disturbed_at >= DISTURB_S:
            disturbed_at = time.monotonic()
            half = halves[disturbances % len(halves)]
            half.kill()
            half.start()
            disturbances += 1
            passed_min = (disturbed_at - began) / 60
            console.print(
                f"{passed_min:4.1f} min: {samples[-1]:.0f} MB, {process.num_threads()} threads, "
                f"{process.num_fds()} open files"
            )
    return samples


def _judge(samples: Sequence[float], console: Console) -> int:
    first, last = levels(samples)
    verdict = "flat" if is_flat(samples) else "[bold red]grows[/bold red]"
    console.print(f"memory: {first:.0f} MB once settled, {last:.0f} MB at the end: {verdict}")
    return 0 if is_flat(samples) else 1


def is_flat(samples: Sequence[float]) -> bool:
    """Whether megabytes, one each `SAMPLE_S`, keep a level once the agent is warm."""
    first, last = levels(samples)
    return last - first <= MAX_GROWTH_MB


def levels(samples: Sequence[float]) -> tuple[float, float]:
    """The median of the first and of the last round of the settled time."""
    settled = samples[int(WARM_UP_S / SAMPLE_S) :] or samples
    count = min(int(ROUND_S / SAMPLE_S), max(1, len(settled) // 2))
    return statistics.median(settled[:count]), statistics.median(settled[-count:])
