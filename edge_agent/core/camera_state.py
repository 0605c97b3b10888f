"""Turns one judgement per frame into statements on the camera: at the start and at each change.

A fault counts at once, because presence must not be claimed from a picture in doubt. Leaving a
fault takes time, because a hand on its way off the lens shows good frames in between.
"""

from datetime import datetime, timedelta

from edge_agent.core.lasting import Lasting
from edge_agent.core.statements import Statement
from event_protocol.events import CameraObserved, CameraState
from event_protocol.names import DeskId

LEAVE_FAULT_AFTER = timedelta(seconds=1)


class CameraTracker:
    """The state of one camera that watches one or several desks."""

    def __init__(self, camera: str, desks: tuple[DeskId, ...]) -> None:
        self._camera = camera
        self._desks = desks
        self._state: CameraState | None = None
        self._shown: Lasting[CameraState] = Lasting()

    @property
    def is_trusted(self) -> bool:
        """Whether the picture may be used at all; before the first judgement it may not."""
        return self._state is CameraState.OK

    @property
    def pending_since(self) -> datetime | None:
        """Since when another state shows itself that is not stated yet."""
        return self._shown.since

    def observe(
        self, judged: CameraState, at: datetime, since: datetime | None = None
    ) -> list[Statement]:
        """Take in what was judged at `at`; `since`: when it began, if that was before."""
        if judged is self._state:
            self._shown.forget()
            return []
        begin = self._shown.show(judged, since or at)
        leaves_fault = self._state not in (None, CameraState.OK)
        if leaves_fault and at - begin < LEAVE_FAULT_AFTER:
            return []
        self._state = judged
        self._shown.forget()
        data = CameraObserved(camera=self._camera, state=judged, since=begin)
        return [Statement(desk, at, data) for desk in self._desks]
