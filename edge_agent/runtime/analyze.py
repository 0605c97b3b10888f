"""`edge-agent analyze`: the desk's pipeline on a recording, at full speed and by its own clock."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from uuid import UUID

from edge_agent.core.desk_zones import ZonesError
from edge_agent.runtime.analysis_lines import DESK, START, LineWriter, to_seconds
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.runtime.zones_file import read_zones_file
from edge_agent.vision.frames import Frame, SourceError
from edge_agent.vision.video_file import DamagedFileError, VideoFile

CAMERA = "camera"
REPORT_EVERY_S = 60.0  # of the recording

_SPAN = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")

Span = tuple[float, float]


class AnalysisError(Exception):
    """What was given can't be analysed; the message says what is wrong with it."""


def parse_span(text: str) -> Span:
    """Seconds of `START-END`, as in `0-3.5`; raises `AnalysisError`."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise AnalysisError(f"--empty {text}: must be START-END in seconds, as in 0-3.5")
    start, end = float(match[1]), float(match[2])
    if start >= end:
        raise AnalysisError(f"--empty {text}: the end must be after the start")
    return start, end


def analyze_video(
    video: Path,
    *,
    zones_file: Path,
    empty: Span | None,
    jsonl: Path | None,
    new_id: Callable[[], UUID],
    report: Callable[[str], None],
) -> None:
    """Write the recording's lines to `jsonl` or standard output; raises `AnalysisError`.

    A damaged recording is analysed as far as it can be read, and `report` says so.
    """
    try:
        zones = read_zones_file(zones_file)
        pipeline = DeskPipeline(CAMERA, {DESK: zones}, new_id)
        if empty is not None:
            pipeline.calibrate(_frames_between(video, empty))
        with _open_output(jsonl) as output:
            _analyze(VideoFile(video, START), pipeline, LineWriter(output, new_id), report)
    except (ZonesError, SourceError) as error:
        raise AnalysisError(str(error)) from None


def _analyze(
    source: VideoFile, pipeline: DeskPipeline, writer: LineWriter, report: Callable[[str], None]
) -> None:
    reported_s = 0.0
    try:
        for frame in source.frames():
            writer.take(pipeline.observe(frame))
            writer.write_until(pipeline.settled_until(frame.captured_at))
            at_s = to_seconds(frame.captured_at)
            if at_s >= reported_s + REPORT_EVERY_S:
                reported_s = at_s
                report(f"{at_s:.0f} s of {source.duration_s or at_s:.0f} s analysed")
    except DamagedFileError as error:
        report(f"{error}; analysed up to there")
    writer.write_all()


def _frames_between(video: Path, span: Span) -> Iterator[Frame]:
    """The frames of the installer's empty span, read ahead; raises `AnalysisError` if none."""
    found = 0
    for frame in VideoFile(video, START).frames():
        at_s = to_seconds(frame.captured_at)
        if at_s > span[1]:
            break
        if at_s >= span[0]:
            found += 1
            yield frame
    if not found:
        raise AnalysisError(f"--empty {span[0]:g}-{span[1]:g}: {video} has no picture in that time")


@contextmanager
def _open_output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        output = path.open("w", encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"--jsonl {path}: {(error.strerror or str(error)).lower()}") from None
    with output:
        yield output
