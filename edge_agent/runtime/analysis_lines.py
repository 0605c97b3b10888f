"""The JSON lines of `edge-agent analyze`, in the order of the times they speak of.

`t` counts seconds from the recording's first picture. The events come from a throwaway chain whose
clock starts at the Unix epoch, so that no analysis passes for something that a desk reported.
"""

import heapq
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any, TextIO
from uuid import UUID

from edge_agent.core.codes import CardRating
from edge_agent.core.statements import Statement
from event_protocol.codec import encode_event, hash_event
from event_protocol.events import (
    EVENT_OF_DATA,
    SOURCE_PREFIX,
    CameraObserved,
    CameraState,
    Event,
    EventData,
    PresenceObserved,
)
from event_protocol.names import NO_HASH, DeskId

START = datetime(1970, 1, 1, tzinfo=UTC)
DESK = DeskId("desk")
DEVICE = "analyze"
# A recording has no camera that could be lost, only spans of which it holds no picture: its events
# say so and presence is unknown there, but the camera's line knows only what a picture shows.
NO_PICTURE = CameraState.LOST


def to_seconds(at: datetime) -> float:
    """Seconds of the recording, in whole milliseconds as on the wire."""
    return round((at - START).total_seconds(), 3)


class LineWriter:
    """Holds statements back until none can come that belongs before them, then writes them."""

    def __init__(self, output: TextIO, new_id: Callable[[], UUID]) -> None:
        self._output = output
        self._chain = ThrowawayChain(new_id)
        self._states: dict[str, str] = {}
        self._tie_breaker = count()
        self._waiting: list[tuple[float, int, dict[str, str] | None, Statement]] = []

    def take(self, said: Iterable[Statement | CardRating]) -> None:
        """Queue what was said after one frame.

        Ratings have no line: only a real agent, which holds the server's key, can seal them.
        """
        for statement in said:
            if isinstance(statement, CardRating):
                continue
            data, applies_at = statement.data, statement.at
            change = self._change(data)
            if isinstance(data, PresenceObserved | CameraObserved) and (
                change is not None or data.state is NO_PICTURE
            ):
                applies_at = data.since
            entry = to_seconds(applies_at), next(self._tie_breaker), change, statement
            heapq.heappush(self._waiting, entry)

    def write_until(self, settled: datetime) -> None:
        """Write all that applies to an earlier time."""
        while self._waiting and self._waiting[0][0] < to_seconds(settled):
            self._write_first()

    def write_all(self) -> None:
        """The recording is over."""
        while self._waiting:
            self._write_first()
        self._output.flush()

    def _change(self, data: EventData) -> dict[str, str] | None:
        """What the state's own line says; `None` if the statement changes no state."""
        if isinstance(data, PresenceObserved):
            line, what = {"zone": data.zone, "state": data.state.value}, f"zone {data.zone}"
        elif isinstance(data, CameraObserved):
            if data.state is NO_PICTURE:
                return None
            line, what = {"camera": data.state.value}, "camera"
        else:
            return None
        if self._states.get(what) == data.state:
            return None
        self._states[what] = data.state
        return line

    def _write_first(self) -> None:
        t, _, change, statement = heapq.heappop(self._waiting)
        if change is not None:
            self._write({"t": t, **change})
        self._write({"t": t, "event": self._chain.append(statement)})

    def _write(self, line: dict[str, Any]) -> None:
        self._output.write(json.dumps(line, ensure_ascii=False) + "\n")


class ThrowawayChain:
    """Numbers and chains statements as an outbox does, in memory."""

    def __init__(self, new_id: Callable[[], UUID]) -> None:
        self._new_id = new_id
        self._sequence = 0
        self._head = NO_HASH

    def append(self, statement: Statement) -> dict[str, Any]:
        """The next event of the chain, as the JSON object that would be sent."""
        self._sequence += 1
        event: Event = EVENT_OF_DATA[type(statement.data)].model_validate(
            {
                "id": self._new_id(),
                "source": SOURCE_PREFIX + DEVICE,
                "subject": statement.desk,
                "time": statement.at,
                "sequence": self._sequence,
                "epoch": 1,
                "boot": 1,
                "prevhash": self._head,
                "data": statement.data,
            }
        )
        body = encode_event(event)
        self._head = hash_event(body)
        sent: dict[str, Any] = json.loads(body)
        return sent
