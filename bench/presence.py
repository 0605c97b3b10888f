"""Presence on the labelled suite, beside what recorders and textbooks do with the same clips.

The agent's own pipeline at one and at two analysed frames a second; frame differencing, MOG2 and
HOG with the library's defaults.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import cv2
import numpy as np

from bench.report import Figure
from bench.scoring import Score, Told, settle
from bench.suite import Variant, load_clip, variants
from bench.suite_pictures import HEIGHT, WIDTH
from edge_agent.core.desk_zones import Zone
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision.frames import Frame, Image, Mask
from event_protocol.events import PresenceObserved, PresenceState
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
DESK = DeskId("desk")
TESTDATA = Path(__file__).resolve().parent.parent.parent / "shared" / "testdata"
RATES = (1.0, 2.0)
F1, TNR, STILL_F1 = 0.97, 0.95, 0.99

MOTION_LEVELS, MOTION_SHARE = 15, 0.01
MOG2_SIZE, MOG2_SHARE = (320, 180), 0.06
HOG_EVERY_S = 2.0

Detector = Callable[[Image], Mapping[str, bool]]


def measure(_folder: Path) -> list[Figure]:
    """F1 and true-negative rate of each variant and rate; others' figures in the last column."""
    testdata = Path(os.environ.get("TESTDATA", TESTDATA))
    figures: list[Figure] = []
    for fps in RATES:
        for variant in variants(load_clip(testdata, fps)):
            ours = score(variant, play(variant))
            others = score_others(variant) if fps == RATES[-1] else {}
            figures += _describe(variant.name, fps, ours, others)
    return figures


def play(variant: Variant) -> dict[str, Told]:
    """What the agent says of each zone."""
    numbers = itertools.count(1)
    pipeline = DeskPipeline("camera", {DESK: variant.zones}, lambda: UUID(int=next(numbers)))
    if variant.empty_s is not None:
        begin_s, end_s = variant.empty_s
        pipeline.calibrate(
            _frame(at_s, image) for at_s, image in _until(variant, end_s) if at_s >= begin_s
        )
    said: dict[str, list[tuple[float, PresenceState]]] = {zone.name: [] for zone in variant.zones}
    for at_s, image in variant.frames():
        for statement in pipeline.observe(_frame(at_s, image)):
            data = getattr(statement, "data", None)
            if isinstance(data, PresenceObserved):
                said[data.zone].append(((data.since - START).total_seconds(), data.state))
    return {zone: settle(states) for zone, states in said.items()}


def score(variant: Variant, told: Mapping[str, Told]) -> Score:
    """All zones of the variant together."""
    counted = Score()
    for zone in variant.zones:
        counted.add(told[zone.name], variant.truth[zone.name], variant.seconds)
    return counted


def score_others(variant: Variant) -> dict[str, Score]:
    """The same clip as other methods see it."""
    detectors: dict[str, tuple[Detector, float]] = {
        "motion": (_Differencing(variant.zones), 0.0),
        "MOG2": (_Mog2(variant.zones), 0.0),
        "HOG": (_Hog(variant.zones), HOG_EVERY_S),
    }
    return {
        name: score(variant, _watch(variant, detector, every_s))
        for name, (detector, every_s) in detectors.items()
    }


def _until(variant: Variant, end_s: float) -> Iterator[tuple[float, Image]]:
    return itertools.takewhile(lambda timed: timed[0] < end_s, variant.frames())


def _frame(at_s: float, image: Image) -> Frame:
    return Frame(image, START + timedelta(seconds=at_s))


def _describe(name: str, fps: float, ours: Score, others: Mapping[str, Score]) -> Iterator[Figure]:
    what = f"presence at {fps:g} fps: {name}"
    f1 = STILL_F1 if name.startswith("still") else F1
    beside = ", ".join(f"{other} {counted.f1:.2f}" for other, counted in others.items())
    yield Figure(f"{what}: F1", ours.f1, "", target=f1, note=beside)
    beside = ", ".join(f"{other} {counted.tnr:.2f}" for other, counted in others.items())
    own = f"boundaries {ours.boundary_error_s:.2f} s off, {100 * ours.known:.0f} % known"
    yield Figure(f"{what}: TNR", ours.tnr, "", target=TNR, note=f"{own}; {beside}".rstrip("; "))


def _watch(variant: Variant, detector: Detector, every_s: float) -> dict[str, Told]:
    said: dict[str, list[tuple[float, PresenceState]]] = {zone.name: [] for zone in variant.zones}
    due_s = 0.0
    for at_s, image in variant.frames():
        if at_s < due_s:
            continue
        due_s = at_s + every_s
        for zone, is_there in detector(image).items():
            state = PresenceState.OCCUPIED if is_there else PresenceState.EMPTY
            said[zone].append((at_s, state))
    return {zone: settle(states) for zone, states in said.items()}


class _Differencing:
    """A recorder's motion detection: what differs from the frame before."""

    def __init__(self, zones: tuple[Zone, ...]) -> None:
        self._masks = _masks(zones, (WIDTH, HEIGHT))
        self._before: Any = None

    def __call__(self, image: Image) -> Mapping[str, bool]:
        grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (5, 5), 0)
        before = grey if self._before is None else self._before
        moved, self._before = cv2.absdiff(grey, before) > MOTION_LEVELS, grey
        return {name: moved[mask].mean() >= MOTION_SHARE for name, mask in self._masks.items()}


class _Mog2:
    """OpenCV's adaptive background model."""

    def __init__(self, zones: tuple[Zone, ...]) -> None:
        self._masks = _masks(zones, MOG2_SIZE)
        self._model = cv2.createBackgroundSubtractorMOG2()

    def __call__(self, image: Image) -> Mapping[str, bool]:
        small = cv2.resize(image, MOG2_SIZE, interpolation=cv2.INTER_AREA)
        ahead = np.asarray(self._model.apply(small)) == 255
        return {name: ahead[mask].mean() >= MOG2_SHARE for name, mask in self._masks.items()}


class _Hog:
    """OpenCV's pedestrian detector; a box counts for the zone that holds its centre."""

    def __init__(self, zones: tuple[Zone, ...]) -> None:
        self._masks = _masks(zones, (WIDTH, HEIGHT))
        self._detector = cv2.HOGDescriptor()
        self._detector.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector()))

    def __call__(self, image: Image) -> Mapping[str, bool]:
        boxes, _ = self._detector.detectMultiScale(image, winStride=(8, 8), scale=1.1)
        centres = [(x + width // 2, y + height // 2) for x, y, width, height in boxes]
        return {
            name: any(mask[min(y, HEIGHT - 1), min(x, WIDTH - 1)] for x, y in centres)
            for name, mask in self._masks.items()
        }


def _masks(zones: tuple[Zone, ...], size: tuple[int, int]) -> dict[str, Mask]:
    masks = {}
    for zone in zones:
        mask = np.zeros((size[1], size[0]), np.uint8)
        corners = np.array([(x * size[0], y * size[1]) for x, y in zone.polygon])
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
        masks[zone.name] = mask.astype(np.bool_)
    return masks
