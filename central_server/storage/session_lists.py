"""Service sessions as pages list them, and the event rows from which a timeline is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from central_server.domain.permissions import UnitScope
from central_server.storage.tables import EventRow, SessionRow

STATES = ("waiting", "serving", "ended", "abandoned", "uncertain")


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """What of a scope's sessions is asked for; `since` ≤ arrival < `until`."""

    state: str | None = None
    desk: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionPlace:
    """Where a page of the list ended."""

    arrived_at: datetime
    session_id: str


def place_of(session: SessionRow) -> SessionPlace:
    """The session's place in the list's order."""
    return SessionPlace(session.arrived_at, session.session_id)


def list_sessions(
    db: Session,
    scope: UnitScope,
    wanted: SessionFilter,
    *,
    limit: int,
    after: SessionPlace | None = None,
) -> list[SessionRow]:
    """The latest arrival first; at most `limit` behind `after`."""
    query = select(SessionRow).where(col(SessionRow.unit_id).in_(scope.unit_ids))
    if wanted.state is not None:
        query = query.where(SessionRow.state == wanted.state)
    if wanted.desk is not None:
        query = query.where(SessionRow.desk == wanted.desk)
    arrived, session_id = col(SessionRow.arrived_at), col(SessionRow.session_id)
    if wanted.since is not None:
        query = query.where(arrived >= wanted.since)
    if wanted.until is not None:
        query = query.where(arrived < wanted.until)
    if after is not None:
        same_time = and_(arrived == after.arrived_at, session_id < after.session_id)
        query = query.where(or_(arrived < after.arrived_at, same_time))
    return list(db.exec(query.order_by(arrived.desc(), session_id.desc()).limit(limit)))


def find_session(db: Session, scope: UnitScope, session_id: str) -> SessionRow | None:
    """The session, if it happened in the scope."""
    in_scope = col(SessionRow.unit_id).in_(scope.unit_ids)
    query = select(SessionRow).where(in_scope, SessionRow.session_id == session_id)
    return db.exec(query).first()


def events_of(
    db: Session, session: SessionRow, types: Sequence[str], since: datetime, until: datetime
) -> list[EventRow]:
    """What the session's device said of its desk in that time, oldest first.

    The session was found in a scope; its desk's events belong to the same unit.
    """
    query = (
        select(EventRow)
        .where(EventRow.desk == session.desk, EventRow.device == session.device)
        .where(col(EventRow.type).in_(types), col(EventRow.time).between(since, until))
        .order_by(col(EventRow.time), col(EventRow.epoch), col(EventRow.sequence))
    )
    return list(db.exec(query))


def last_event_before(
    db: Session, session: SessionRow, event_type: str, before: datetime
) -> EventRow | None:
    """The last of its type that the session's device said of the desk before that time."""
    query = (
        select(EventRow)
        .where(EventRow.desk == session.desk, EventRow.device == session.device)
        .where(EventRow.type == event_type, col(EventRow.time) < before)
        .order_by(col(EventRow.time).desc())
    )
    return db.exec(query.limit(1)).first()
