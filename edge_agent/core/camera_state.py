"""Turns one judgement per frame into statements on the camera: at the start and at each change.

A fault must last before it is stated: people pass close by, and the lamp is switched. Until then
the picture is in doubt, and presence neither goes by it nor is called unknown. Leaving a fault
takes time too, because a hand on its way off the lens shows good frames in between.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_agent.core.lasting import Lasting
from edge_agent.core.statements import Statement
from event_protocol.events import CameraDetail, CameraObserved, CameraState, PictureShift
from event_protocol.names import DeskId

# Longer than somebody bends over the desk before the lens, shorter than the five seconds in which
# an alarm is due, even if frames come once in two seconds.
STATE_FAULT_AFTER = timedelta(seconds=2.5)
LEAVE_FAULT_AFTER = timedelta(seconds=1)
# Longer without a frame, the time between was not seen; some cameras send a key frame every ten
# seconds and nothing else.
MAX_GAP = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one picture says of the camera; `since`: when it began, if that was before."""

    state: CameraState
    detail: CameraDetail | None = None
    shift: PictureShift | None = None
    since: datetime | None = None


OK = Judgement(CameraState.OK)


class CameraTracker:
    """The state of one camera that watches one or several desks."""

    def __init__(self, camera: str, desks: tuple[DeskId, ...]) -> None:
        self._camera = camera
        self._desks = desks
        self._stated: Judgement | None = None
        self._since: datetime | None = None
        self._seen_at: datetime | None = None
        self._bad_at: datetime | None = None
        self._good: Lasting[bool] = Lasting()
        self._bad: Lasting[bool] = Lasting()
        self._kinds: dict[CameraState, list[Judgement]] = {}  # of the present doubt
        # How long good pictures have shown themselves since the last bad ones, and how long those
        # did before: a fault that is lost sight of for a moment is as old as it was.
        self._relieved: Lasting[bool] = Lasting()
        self._doubted = timedelta()

    @property
    def is_trusted(self) -> bool:
        """Whether the picture may be used at all; before the first judgement it may not."""
        return self._stated is not None and self._stated.state is CameraState.OK

    @property
    def since(self) -> datetime | None:
        """Since when the camera is in the state that was stated last."""
        return self._since

    @property
    def is_in_doubt(self) -> bool:
        """Trusted so far, but the last picture was not good."""
        return self.is_trusted and self._bad.since is not None

    @property
    def pending_since(self) -> datetime | None:
        """Since when another state shows itself that is not stated yet."""
        return self._bad.since or self._good.since

    def observe(self, judged: Judgement, at: datetime) -> list[Statement]:
        """Take in what was judged of the picture of `at`, or that there was none."""
        said = self._bridge_gap(at)
        self._seen_at = at
        if judged.state is CameraState.OK:
            return said + self._weigh_good(judged, at)
        return said + self._weigh_bad(judged, at)

    def _bridge_gap(self, at: datetime) -> list[Statement]:
        """The clock was set, or nothing came for long: what lies between was not seen."""
        last = self._seen_at
        if last is None or timedelta() <= at - last <= MAX_GAP:
            return []
        self._forget()
        if self._stated is not None and self._stated.state is CameraState.LOST:
            return []
        jump = Judgement(CameraState.LOST, CameraDetail.TIME_JUMP)
        return self._state(jump, min(last, at), at)

    def _weigh_good(self, judged: Judgement, at: datetime) -> list[Statement]:
        self._relieve(at)
        if self.is_trusted:
            return []
        begin = self._good.show(True, at)
        if self._stated is not None and at - begin < LEAVE_FAULT_AFTER:
            return []
        return self._state(judged, begin, at)

    def _relieve(self, at: datetime) -> None:
        """Good pictures end a doubt at once, and all that led to it once they last."""
        if self._bad.since is not None and self._bad_at is not None:
            self._doubted += self._bad_at - self._bad.since
        self._bad.forget()
        if at - self._relieved.show(True, at) >= LEAVE_FAULT_AFTER:
            self._kinds.clear()
            self._doubted = timedelta()

    def _weigh_bad(self, judged: Judgement, at: datetime) -> list[Statement]:
        self._good.forget()
        if self._stated is not None and self._stated.state is judged.state:
            self._forget()
            return []
        self._relieved.forget()
        begin, self._bad_at = self._bad.show(True, judged.since or at), at
        self._kinds.setdefault(judged.state, []).append(judged)
        is_certain = self._stated is None or judged.state is CameraState.LOST
        if not is_certain and at - begin + self._doubted < STATE_FAULT_AFTER:
            return []
        return self._state(judged if is_certain else self._usual_kind(), begin, at)

    def _usual_kind(self) -> Judgement:
        """What most pictures of this run were judged to be, in its last form."""
        return max(self._kinds.values(), key=len)[-1]

    def _state(self, judged: Judgement, since: datetime, at: datetime) -> list[Statement]:
        self._stated, self._since = judged, since
        self._forget()
        data = CameraObserved(
            camera=self._camera,
            state=judged.state,
            since=since,
            detail=judged.detail,
            shift=judged.shift,
        )
        return [Statement(desk, at, data) for desk in self._desks]

    def _forget(self) -> None:
        self._good.forget()
        self._bad.forget()
        self._relieved.forget()
        self._doubted = timedelta()
        self._kinds.clear()
