"""Service sessions as JSON."""

from uuid import UUID

from fastapi import APIRouter

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import Permission
from central_server.http.api_models import SegmentOut, SessionList, SessionOut, TimelineOut
from central_server.http.dependencies import CurrentVisit
from central_server.http.error_pages import PROBLEMS
from central_server.http.filters import (
    Cursor,
    Limit,
    Sessions,
    read_session_cursor,
    session_cursor,
)
from central_server.services.timelines import read_timeline
from central_server.storage import session_lists

router = APIRouter(prefix="/sessions", tags=["sessions"], responses=PROBLEMS)


@router.get("", operation_id="listSessions")
def list_sessions(
    visit: CurrentVisit, sessions: Sessions, limit: Limit = 50, cursor: Cursor = ""
) -> SessionList:
    """Sessions, the latest arrival first."""
    scope = sessions.place.narrow(visit.scope(Permission.SEE_SESSIONS), visit)
    with visit.context.database.reading() as db:
        found = session_lists.list_sessions(
            db, scope, sessions.filter(), limit=limit + 1, after=read_session_cursor(cursor)
        )
    page, more = found[:limit], len(found) > limit
    return SessionList(
        items=[SessionOut.of(session) for session in page],
        next_cursor=session_cursor(session_lists.place_of(page[-1])) if more else None,
    )


@router.get("/{session_id}", operation_id="getSessionOfDesk")
def get_session(visit: CurrentVisit, session_id: UUID) -> SessionOut:
    """One session."""
    scope = visit.scope(Permission.SEE_SESSIONS)
    with visit.context.database.reading() as db:
        session = session_lists.find_session(db, scope, str(session_id))
    if session is None:
        raise NotFoundError()
    return SessionOut.of(session)


@router.get("/{session_id}/timeline", operation_id="getTimeline")
def get_timeline(visit: CurrentVisit, session_id: UUID) -> TimelineOut:
    """What the device said of the desk around the session."""
    scope = visit.scope(Permission.SEE_SESSIONS)
    with visit.context.database.reading() as db:
        session = session_lists.find_session(db, scope, str(session_id))
        if session is None:
            raise NotFoundError()
        timeline = read_timeline(db, session, visit.context.now())
    return TimelineOut(
        session_id=session.session_id,
        begin=timeline.begin,
        end=timeline.end,
        segments=[
            SegmentOut.model_validate(segment, from_attributes=True)
            for segments in timeline.lanes.values()
            for segment in segments
        ],
    )
