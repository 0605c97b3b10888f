"""What one camera costs the edge: milliseconds a frame by stage, and the share of a processor.

The camera is the drawn room, encoded to H.264 at 640×360 and 25 frames a second, read as a network
camera is read. It is read faster than it plays; its clock is that of its frames.
"""

import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from pathlib import Path
from uuid import uuid4

import av

from bench.report import Figure
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision import scene
from edge_agent.vision.sources import StreamSource
from edge_agent.vision.stage_times import StageTimes
from event_protocol.names import DeskId

FPS = 25
SEED = 1
SECONDS = 60
START = datetime(2026, 1, 5, tzinfo=UTC)


def measure(folder: Path) -> list[Figure]:
    """Milliseconds a frame for decoding, presence and QR, and the CPU share of it all."""
    video = folder / "camera.mp4"
    _encode(video)
    frames = count()

    def frame_clock() -> datetime:
        return START + timedelta(seconds=next(frames) / FPS)

    times = StageTimes()
    pipeline = DeskPipeline("camera", {DeskId("desk"): scene.ZONES}, uuid4, times)
    pipeline.calibrate_between(START, START + timedelta(seconds=scene.EMPTY_S))
    events, used = 0, time.process_time()
    for frame in StreamSource(str(video), frame_clock, times).frames():
        events += len(pipeline.observe(frame))
    used = time.process_time() - used
    analysed = times.runs["presence"]
    stages = (
        ("decode", SECONDS * FPS, "a frame of the stream"),
        ("presence", analysed, "a frame that is analysed"),
        ("qr", times.runs["qr"], "a look for codes"),
    )
    note = f"{analysed} of {SECONDS * FPS} frames analysed, {events} statements"
    return [
        Figure(f"edge: {stage}", 1000 * times.seconds[stage] / runs, "ms", note=per)
        for stage, runs, per in stages
    ] + [Figure("edge: CPU share of one 25 fps camera", 100 * used / SECONDS, "%", note=note)]


def _encode(video: Path) -> None:
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = scene.WIDTH, scene.HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for number in range(SECONDS * FPS):
            image = scene.draw(SEED, number / FPS)
            picture = av.VideoFrame.from_ndarray(image, format="bgr24")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
