"""What a camera gave to see, on its way into the outbox: held in memory while the disk refuses it.

What is too much to hold is dropped, the oldest first, and told of in one event. What citizens said
is never dropped before that: it gets the room that the outbox keeps for it, or goes on waiting.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from edge_agent.core.statements import Statement
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.outbox_database import OutboxError
from event_protocol.events import FeedbackAmended, FeedbackSubmitted, ObservationsDropped

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Dropped:
    """How many statements were dropped since the outbox took some, and over which time."""

    count: int
    since: datetime
    until: datetime


class HeldStatements:
    """One camera's; `most` are held. Called under the camera's lock."""

    def __init__(self, outbox: Outbox, camera: str, most: int) -> None:
        self._outbox = outbox
        self._camera = camera
        self._most = most
        self._held: list[Statement] = []
        self._dropped: _Dropped | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether something waits for the disk."""
        return bool(self._held)

    def store(self, statements: list[Statement], snapshots: Mapping[str, bytes]) -> None:
        """On the disk with the state that they led to, behind what waits; or held."""
        waiting = [*self._held, *statements]
        try:
            self._outbox.append([*self._tell_dropped(), *waiting], snapshots=snapshots)
        except OutboxError as error:
            self._held = self._drop_oldest(self._save_feedback(waiting))
            # At the end: if it goes to the same disk, it can't be written either.
            log.error("observation_held", camera=self._camera, reason=str(error))
            if dropped := self._dropped:
                log.error("observation_dropped", camera=self._camera, count=dropped.count)
        else:
            self._held, self._dropped = [], None

    def _tell_dropped(self) -> list[Statement]:
        dropped = self._dropped
        if dropped is None:
            return []
        data = ObservationsDropped(camera=self._camera, count=dropped.count, since=dropped.since)
        return [Statement(None, dropped.until, data)]

    def _save_feedback(self, waiting: list[Statement]) -> list[Statement]:
        """The rest, once feedback is stored by itself; all, if not even that can be."""
        feedback = [one for one in waiting if _is_feedback(one)]
        if not feedback:
            return waiting
        try:
            self._outbox.append(feedback)
        except OutboxError:
            return waiting
        return [one for one in waiting if not _is_feedback(one)]

    def _drop_oldest(self, waiting: list[Statement]) -> list[Statement]:
        too_many = len(waiting) - self._most
        if too_many <= 0:
            return waiting
        gone = [one for one in waiting if not _is_feedback(one)][:too_many]
        if gone:
            before = self._dropped or _Dropped(0, gone[0].at, gone[0].at)
            self._dropped = _Dropped(before.count + len(gone), before.since, gone[-1].at)
        lost = {id(one) for one in gone}
        return [one for one in waiting if id(one) not in lost]


def _is_feedback(statement: Statement) -> bool:
    return isinstance(statement.data, FeedbackSubmitted | FeedbackAmended)
