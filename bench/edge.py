"""What one camera costs the edge: milliseconds a frame by stage, and the share of a processor.

The camera is the drawn room, encoded to H.264 at 640×360 and 25 frames a second. All of them are
decoded, and as many analysed as of a live camera; it is read faster than it plays.
"""

import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import av

from bench.report import Figure
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision import scene
from edge_agent.vision.sources import MAX_FPS
from edge_agent.vision.stage_times import StageTimes
from edge_agent.vision.video_file import VideoFile
from event_protocol.names import DeskId

FPS = 25
SEED = 1
SECONDS = 60
START = datetime(2026, 1, 5, tzinfo=UTC)


def measure(folder: Path) -> list[Figure]:
    """Milliseconds a frame for decoding, presence and QR, and the CPU share of it all."""
    video = folder / "camera.mp4"
    _encode(video)
    times = StageTimes()
    pipeline = DeskPipeline("camera", {DeskId("desk"): scene.ZONES}, uuid4, times)
    pipeline.calibrate_between(START, START + timedelta(seconds=scene.EMPTY_S))
    events, due, used = 0, START, time.process_time()
    for frame in VideoFile(video, START, times=times).frames():
        if frame.captured_at >= due:  # as a live camera's pace picks them
            due = frame.captured_at + timedelta(seconds=0.9 / MAX_FPS)
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
