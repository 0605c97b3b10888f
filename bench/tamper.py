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
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

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
    clip_names,
    freezes_of,
    load_clips,
    look,
)
from edge_agent.core.camera_state import CameraTracker
from edge_agent.vision.camera_trust import CameraTrust
from edge_agent.vision.frames import Frame, GreyImage, Image
from edge_agent.vision.look_back import Calm
from edge_agent.vision.view import View
from event_protocol.events import CameraObserved, CameraState
from event_protocol.names import DeskId

CALIBRATED_S = 3.0
DUE_S, FROZEN_DUE_S, CLEAR_S = 5.0, 6.0, 4.0
START = datetime(2026, 1, 5, tzinfo=UTC)
DESK = DeskId("desk")
ROOT = Path(__file__).resolve().parent.parent
TESTDATA = Path(os.environ.get("TESTDATA", ROOT.parent / "shared" / "testdata"))
DESK_CLIP = "desk_one_by_one_a"


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
    """Trust and tracker of one camera, and what they told.

    `passes_over`: as of a stream with a key frame a second, where all is calm (`look_back.py`).
    """

    def __init__(self, calibrated_s: float = 0.0, *, passes_over: bool = False) -> None:
        self.told: list[tuple[float, CameraObserved]] = []
        self.spent_s, self.judged = 0.0, 0
        self._trust, self._tracker = CameraTrust(), CameraTracker("camera", (DESK,))
        self._calibrated_s, self._empty = calibrated_s, list[GreyImage]()
        self._calm, self._passes_over = Calm(), passes_over
        self._may_pass, self._passed = False, list[Frame]()

    def show(self, image: Image, at_s: float) -> None:
        """One frame; those of the calibrated seconds are the reference."""
        frame = Frame(image, START + timedelta(seconds=at_s))
        if at_s < self._calibrated_s:
            self._empty.append(frame.fine)
            return
        if self._empty:
            self._trust.memory.calibrate(self._empty)
            self._empty.clear()
        if self._may_pass and not self._passed and not self._tracker.is_in_doubt:
            self._passed = [frame]
            return
        is_calm = self._passes_over and self._calm.observe(frame)
        self._may_pass = is_calm and self._tracker.is_trusted
        for one in (*(() if is_calm else self._passed), frame):
            self._judge(one, at_s)
        self._passed = []

    def _judge(self, frame: Frame, at_s: float) -> None:
        _ = frame.fine  # presence needs it, too
        began = time.thread_time()
        judged = self._trust.judge(View.of(frame), lambda: frame.image, frame.captured_at)
        self.spent_s += time.thread_time() - began
        self.judged += 1
        for said in self._tracker.observe(judged, frame.captured_at):
            if isinstance(said.data, CameraObserved):
                self.told.append((at_s, said.data))

    @property
    def alarms(self) -> list[tuple[float, CameraObserved]]:
        """What was told that is a fault."""
        return [(at_s, data) for at_s, data in self.told if data.state is not CameraState.OK]


@dataclass(frozen=True, slots=True)
class Way:
    """How a camera is looked at: how many of the clip's pictures, and whether it is calibrated."""

    name: str
    every: int  # picture
    calibrated_s: float = 0.0
    passes_over: bool = False


# Of clips with five pictures a second.
WAYS = (
    Way("1 fps", 5, CALIBRATED_S),
    Way("1 fps, nobody calibrated", 5),
    Way("1 fps, every other one where all is calm", 5, CALIBRATED_S, passes_over=True),
    Way("5 fps", 1, CALIBRATED_S),
    Way("5 fps, nobody calibrated", 1),
)


def play(clip: Clip, shown: Callable[[float], Image], ways: Sequence[Way]) -> list[Watch]:
    """One trial, looked at in all ways at once, since drawing it is what takes long."""
    watches = [Watch(way.calibrated_s, passes_over=way.passes_over) for way in ways]
    for number in range(round(SECONDS * clip.fps)):
        looking = [w for w, way in zip(watches, ways, strict=True) if number % way.every == 0]
        image = shown(number / clip.fps) if looking else None
        for watch in looking:
            assert image is not None  # noqa: S101 - somebody looks
            watch.show(image, number / clip.fps)
    return watches


def tampered(clip: Clip, tamper: Tamper) -> Callable[[float], Image]:
    """What is shown at each second: clean, tampered, clean."""

    def shown(at_s: float) -> Image:
        wide = clip.at(at_s)
        return tamper.change(wide, at_s) if BEGIN_S <= at_s < END_S else look(wide)

    return shown


def harmless(clip: Clip, change: Change) -> Callable[[float], Image]:
    """What is shown at each second; those of the calibration are as recorded."""
    return lambda at_s: (change if at_s >= CALIBRATED_S else _as_recorded)(clip.at(at_s), at_s)


def _as_recorded(wide: Image, _at_s: float) -> Image:
    return look(wide)


def _outcome(clip: Clip, tamper: Tamper, watch: Watch) -> Outcome:
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


# --- the table -----------------------------------------------------------------------------------


@dataclass
class Score:
    """All trials that were looked at in one way."""

    outcomes: list[Outcome] = field(default_factory=list)
    false_alarms: dict[str, int] = field(default_factory=dict)  # by clip and variant

    def share(self, is_good: Callable[[Outcome], bool], among: Sequence[Outcome] = ()) -> float:
        """Of `among`, or of all, in per cent."""
        counted = among or self.outcomes
        return 100 * sum(map(is_good, counted)) / max(1, len(counted))

    def add(self, other: "Score") -> None:
        """What another run found, on other clips."""
        self.outcomes += other.outcomes
        self.false_alarms |= other.false_alarms


def is_named(outcome: Outcome) -> bool:
    """Detected, and called what it was."""
    return outcome.is_detected and outcome.told is outcome.expected


def run(clip: Clip, figure: Clip, ways: Sequence[Way]) -> list[Score]:
    """Every trial on one clip; a score for each way. `figure`: see `all_harmless`."""
    scores = [Score() for _ in ways]
    for tamper in (*TAMPERS, *freezes_of(clip)):
        watches = play(clip, tampered(clip, tamper), ways)
        for score, watch in zip(scores, watches, strict=True):
            score.outcomes.append(_outcome(clip, tamper, watch))
    for name, change in all_harmless(figure).items():
        watches = play(clip, harmless(clip, change), ways)
        for score, watch in zip(scores, watches, strict=True):
            if watch.alarms:
                score.false_alarms[f"{clip.name}, {name}"] = len(watch.alarms)
    return scores


def run_clip(name: str) -> list[Score]:
    """All of `WAYS` on a clip of the test data."""
    (clip,) = load_clips(TESTDATA, [name], 5)
    (figure,) = load_clips(TESTDATA, ["asl_book"], 2)
    return run(clip, figure, WAYS)


def measure(_folder: Path) -> list[Figure]:
    """Every clip in every way: ten minutes of one core, shared by all there are."""
    scores = [Score() for _ in WAYS]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for found in pool.map(run_clip, clip_names(TESTDATA)):
            for score, more in zip(scores, found, strict=True):
                score.add(more)
    by_way = zip(WAYS, scores, strict=True)
    return [*_measure_cost(), *(figure for way in by_way for figure in figures(*way))]


def _measure_cost() -> list[Figure]:
    (desk,) = load_clips(TESTDATA, [DESK_CLIP], 10)
    way = Way("cost", 1, CALIBRATED_S)
    (watch,) = play(desk, lambda at_s: look(desk.at(at_s)), [way])
    name, cost_ms = "trust: a judgement at 640 × 360", 1000 * watch.spent_s / watch.judged
    note = "somebody in the picture for most of the time"
    return [Figure(name, cost_ms, "ms", target=1, is_limit=True, note=note)]


def figures(way: Way, score: Score) -> list[Figure]:
    """The rows of one way."""
    outcomes = score.outcomes
    told = [o.after_s for o in outcomes if o.after_s is not None]
    cleared = [o.cleared_s for o in outcomes if o.cleared_s is not None]
    missed = Counter(f"{o.clip}" for o in outcomes if not o.is_detected)
    false = ", ".join(score.false_alarms) or "none"
    name = f"tamper, {way.name}"
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
