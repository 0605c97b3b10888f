"""How well tampering with a camera is told: real clips with hands, bags, paper, turns and freezes.

Each trial plays a clip by the trust functions and the camera's tracker alone: clean, tampered,
clean again. Times are those of the frames. The harmless trials are clean all through, in changing
light, noise and compression, and with people and carts that fill half of the picture.
"""

import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from bench.harmless_pictures import all_harmless
from bench.report import Figure
from bench.tamper_pictures import (
    BEGIN_S,
    END_S,
    SECONDS,
    TAMPERS,
    Change,
    Clip,
    Tamper,
    freezes_of,
    load_clips,
    look,
)
from edge_agent.core.camera_state import CameraTracker
from edge_agent.vision.camera_trust import CameraTrust
from edge_agent.vision.frames import Frame, GreyImage, Image
from edge_agent.vision.view import take_view, to_fine
from event_protocol.events import CameraObserved, CameraState
from event_protocol.names import DeskId

CALIBRATED_S = 3.0
DUE_S, FROZEN_DUE_S, CLEAR_S = 5.0, 6.0, 4.0
START = datetime(2026, 1, 5, tzinfo=UTC)
DESK = DeskId("desk")
ROOT = Path(__file__).resolve().parent.parent
OFTEN = ("desk_one_by_one_a", "asl_book", "classroom", "worker_zone")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was told of one trial; times in seconds after the tampering began, or ended."""

    clip: str
    name: str
    expected: CameraState
    told: CameraState | None
    after_s: float | None
    cleared_s: float | None

    @property
    def is_detected(self) -> bool:
        """In time, whatever it was called."""
        due_s = FROZEN_DUE_S if self.expected is CameraState.FROZEN else DUE_S
        return self.after_s is not None and self.after_s <= due_s


class Watch:
    """Trust and tracker of one camera, and what they told."""

    def __init__(self, calibrated_s: float = 0.0) -> None:
        self.told: list[tuple[float, CameraObserved]] = []
        self.spent_s, self.judged = 0.0, 0
        self._trust, self._tracker = CameraTrust(), CameraTracker("camera", (DESK,))
        self._calibrated_s, self._empty = calibrated_s, list[GreyImage]()

    def show(self, image: Image, at_s: float) -> None:
        """One frame; those of the calibrated seconds are the reference."""
        frame = Frame(image, START + timedelta(seconds=at_s))
        grey = frame.grey
        if at_s < self._calibrated_s:
            self._empty.append(to_fine(grey))
            return
        if self._empty:
            self._trust.memory.calibrate(self._empty)
            self._empty.clear()
        began = time.thread_time()
        judged = self._trust.judge(take_view(grey), lambda: frame.image, frame.captured_at)
        self.spent_s += time.thread_time() - began
        self.judged += 1
        for said in self._tracker.observe(judged, frame.captured_at):
            if isinstance(said.data, CameraObserved):
                self.told.append((at_s, said.data))

    @property
    def alarms(self) -> list[tuple[float, CameraObserved]]:
        """What was told that is a fault."""
        return [(at_s, data) for at_s, data in self.told if data.state is not CameraState.OK]


def try_tamper(clip: Clip, tamper: Tamper, watch: Watch) -> Outcome:
    """Play one trial; `watch` must be new."""
    for at_s in np.arange(0, SECONDS, 1 / clip.fps):
        wide = clip.at(at_s)
        is_on = BEGIN_S <= at_s < END_S
        watch.show(tamper.change(wide, at_s) if is_on else look(wide), float(at_s))
    alarms = [(at_s, data.state) for at_s, data in watch.alarms if BEGIN_S <= at_s < END_S]
    cleared = [
        at_s
        for at_s, data in watch.told
        if alarms and at_s >= END_S and data.state is CameraState.OK
    ]
    return Outcome(
        clip.name,
        tamper.name,
        tamper.state,
        alarms[0][1] if alarms else None,
        alarms[0][0] - BEGIN_S if alarms else None,
        cleared[-1] - END_S if cleared else None,
    )


def try_harmless(clip: Clip, change: Change, watch: Watch) -> int:
    """How many alarms there were; the seconds of the calibration are as recorded."""
    for at_s in np.arange(0, SECONDS, 1 / clip.fps):
        wide = clip.at(at_s)
        watch.show(change(wide, at_s) if at_s >= CALIBRATED_S else look(wide), float(at_s))
    return len(watch.alarms)


# --- the table -----------------------------------------------------------------------------------


@dataclass
class Score:
    """All trials of one run."""

    outcomes: list[Outcome]
    false_alarms: dict[str, int]  # by clip and variant

    def share(self, is_good: Callable[[Outcome], bool], among: Sequence[Outcome] = ()) -> float:
        """Of `among`, or of all, in per cent."""
        counted = among or self.outcomes
        return 100 * sum(map(is_good, counted)) / max(1, len(counted))


def is_named(outcome: Outcome) -> bool:
    """Detected, and called what it was."""
    return outcome.is_detected and outcome.told is outcome.expected


def run(clips: Sequence[Clip], figure: Clip, calibrated_s: float) -> Score:
    """Every trial on every clip."""
    score = Score([], {})
    for clip in clips:
        for tamper in (*TAMPERS, *freezes_of(clip)):
            watch = Watch(calibrated_s)
            score.outcomes.append(try_tamper(clip, tamper, watch))
        for name, change in all_harmless(figure).items():
            alarms = try_harmless(clip, change, Watch(calibrated_s))
            if alarms:
                score.false_alarms[f"{clip.name}, {name}"] = alarms
    return score


def measure(_folder: Path) -> list[Figure]:
    """Every clip at one picture a second, calibrated; four at five, with a view learned alone."""
    testdata = Path(os.environ.get("TESTDATA", ROOT.parent / "shared" / "testdata"))
    (figure,) = load_clips(testdata, ["asl_book"], 2)
    slow = run(list(load_clips(testdata, (), 1)), figure, CALIBRATED_S)
    fast = run(list(load_clips(testdata, OFTEN, 5)), figure, 0)
    (desk,) = load_clips(testdata, OFTEN[:1], 10)
    watch = Watch(CALIBRATED_S)
    try_harmless(desk, lambda wide, _at_s: look(wide), watch)
    cost = Figure("trust: a judgement at 640 × 360", 1000 * watch.spent_s / watch.judged, "ms")
    return [
        *_figures("1 fps", slow),
        *_figures("5 fps, nobody calibrated", fast),
        replace(cost, target=1, is_limit=True, note="somebody in the picture for most of the time"),
    ]


def _figures(what: str, score: Score) -> list[Figure]:
    outcomes = score.outcomes
    told = [o.after_s for o in outcomes if o.after_s is not None]
    cleared = [o.cleared_s for o in outcomes if o.cleared_s is not None]
    missed = Counter(f"{o.clip}" for o in outcomes if not o.is_detected)
    false = ", ".join(score.false_alarms) or "none"
    name = f"tamper, {what}"
    by_state = {state: [o for o in outcomes if o.expected is state] for state in CameraState}
    return [
        Figure(
            f"{name}: detected", score.share(lambda o: o.is_detected), "%", 95, note=_most(missed)
        ),
        Figure(f"{name}: of the right kind", score.share(is_named), "%", 90),
        *(
            Figure(f"{name}: {state.value}, detected and named", score.share(is_named, some), "%")
            for state, some in by_state.items()
            if some
        ),
        Figure(f"{name}: false alarms", sum(score.false_alarms.values()), "", 1, True, false),
        Figure(f"{name}: alarm after, median", statistics.median(told), "s", DUE_S, True),
        Figure(f"{name}: alarm after, longest", max(told), "s"),
        Figure(f"{name}: cleared after, longest", max(cleared), "s"),
    ]


def _most(missed: Counter[str]) -> str:
    if not missed:
        return "none missed"
    return "missed: " + ", ".join(f"{count} in {clip}" for clip, count in missed.most_common(4))
