"""A session's minutes, read back from the event log for one screen."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from central_server.domain.timelines import SAID_AT_LEAST_EVERY, Lane, Segment, draw_lanes
from central_server.storage import session_lists
from central_server.storage.tables import EventRow, SessionRow
from event_protocol.codec import Accepted, decode_event
from event_protocol.events import Event
from event_protocol.names import DeviceId

# What was there before and after; feedback counts for a stay until three minutes after it.
_MARGIN = timedelta(minutes=3)
_LONGEST = timedelta(hours=12)  # a stay that never ended is drawn so far
_PRESENCE, _CAMERA = "onestop.presence.observed", "onestop.camera.observed"


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lanes of segments over one window; a lane that was never spoken of is absent."""

    begin: datetime
    end: datetime
    lanes: dict[Lane, list[Segment]]

    def share(self, at: datetime) -> float:
        """Where in the window an instant lies: 0 at its beginning, 1 at its end."""
        return (at - self.begin) / (self.end - self.begin)


def read_timeline(db: Session, session: SessionRow, now: datetime) -> Timeline:
    """The session with a little before and after it; what is still going on ends now."""
    begin = session.arrived_at - _MARGIN
    end = (session.ended_at or now) + _MARGIN
    # A suspect clock may put the end before the beginning.
    end = min(max(end, begin + 2 * _MARGIN), begin + _LONGEST)
    if session.ended_at is None:
        end = max(min(end, now), begin + _MARGIN)
    rows = session_lists.events_of(
        db, session, (_PRESENCE, _CAMERA), begin - SAID_AT_LEAST_EVERY, end
    )
    camera = session_lists.last_event_before(db, session, _CAMERA, begin - SAID_AT_LEAST_EVERY)
    events = _readable([*([camera] if camera else []), *rows])
    return Timeline(begin, end, draw_lanes(events, begin, end))


def _readable(rows: list[EventRow]) -> Iterator[Event]:
    for row in rows:
        decoded = decode_event(DeviceId(row.device), row.body)
        if isinstance(decoded, Accepted):
            yield decoded.event
