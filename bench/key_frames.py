"""Whether key frames are enough: presence on the desk clip from all frames and from fewer.

The clip is coded anew as a camera would, with a key frame every second or two.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
from av.video.frame import PictureType

from bench.presence import TESTDATA
from bench.report import Figure
from bench.scoring import Score, settle
from edge_agent.core.desk_zones import Zone
from edge_agent.core.statements import Statement
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision.frames import Demand
from edge_agent.vision.video_file import VideoFile
from event_protocol.events import PresenceObserved, PresenceState, ZoneRole
from event_protocol.names import DeskId

CLIP = "video/desk_one_by_one_a.mp4"
START = datetime(2026, 1, 5, tzinfo=UTC)
EMPTY_S = 5.0
FPS = 25  # the clip has ten; a camera's stream has more
F1, TNR = 0.97, 0.95


class Looking(Enum):
    """How much of the stream is decoded."""

    ALL = "all frames"
    ASKED = "what the agent asks for"
    KEYS = "key frames alone"


def measure(folder: Path) -> list[Figure]:
    """F1 and the rest, for each way of looking and each distance of key frames."""
    testdata = Path(os.environ.get("TESTDATA", TESTDATA))
    clips = json.loads((testdata / "ground_truth.json").read_text())["clips"]
    (label,) = [clip for clip in clips if clip["file"] == CLIP]
    figures = []
    for key_every_s in (1, 2):
        film = folder / f"desk-{key_every_s}.mp4"
        encode(testdata / CLIP, film, key_every_s)
        for looking in Looking:
            score, decoded = watch(film, label, looking)
            figures.append(
                Figure(
                    f"presence: F1 of {looking.value}, key frames every {key_every_s} s",
                    score.f1,
                    "",
                    None if looking is Looking.KEYS else F1,
                    note=f"true-negative rate {score.tnr:.3f} (target {TNR}), boundaries "
                    f"{score.boundary_error_s:.2f} s off, {decoded} of {FPS * 72} frames seen",
                )
            )
    return figures


def encode(clip: Path, film: Path, key_every_s: int) -> None:
    """The clip at 640 × 360 and 25 frames a second."""
    options = {"preset": "veryfast", "g": str(FPS * key_every_s), "bf": "0", "sc_threshold": "0"}
    with av.open(str(clip)) as source, av.open(str(film), "w") as sent:
        stream = sent.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.bit_rate = 800_000
        stream.time_base = Fraction(1, FPS)
        number = 0
        first_s: float | None = None
        for picture in source.decode(video=0):
            at_s = picture.time or 0.0
            first_s = at_s if first_s is None else first_s
            image = picture.reformat(640, 360, "yuv420p")
            image.pict_type = PictureType.NONE  # else the clip's key frames stay key frames
            while number / FPS <= at_s - first_s:
                image.pts, image.time_base = number, Fraction(1, FPS)
                sent.mux(stream.encode(image))
                number += 1
        sent.mux(stream.encode(None))


def watch(film: Path, label: dict[str, Any], looking: Looking) -> tuple[Score, int]:
    """How well presence was told, and of how many frames."""
    zone = desk_zone(label)
    pipeline = DeskPipeline("camera", {DeskId("desk"): (zone,)}, uuid4)
    pipeline.calibrate_between(START, START + timedelta(seconds=EMPTY_S))
    source = VideoFile(film, START)
    said: list[tuple[float, PresenceState]] = []
    seen = 0
    for frame in source.frames():
        seen += 1
        for statement in pipeline.observe(frame):
            if isinstance(statement, Statement) and isinstance(statement.data, PresenceObserved):
                since = (statement.data.since - START).total_seconds()
                said.append((since, statement.data.state))
        if looking is Looking.KEYS:
            source.demand = Demand.KEY_FRAMES
        elif looking is Looking.ASKED:
            source.demand = pipeline.demand_after(frame.captured_at)
    score = Score()
    score.add(settle(said), [tuple(stay) for stay in label["customer_in_zone"]], label["seconds"])
    return score, seen


def desk_zone(label: dict[str, Any]) -> Zone:
    """The polygon in which the labels are true."""
    corners = label["zones"]["customer"]["polygon_px"]
    return Zone(
        "table",
        ZoneRole.CITIZEN,
        tuple((x / label["width"], y / label["height"]) for x, y in corners),
    )
