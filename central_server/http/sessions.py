"""Service sessions: the list with its filters, and one session with its timeline."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import Permission
from central_server.http.dependencies import CurrentVisit
from central_server.http.filters import Cursor, Sessions, read_session_cursor, session_cursor
from central_server.services.timelines import read_timeline
from central_server.storage import flag_lists, session_lists, unit_lists
from central_server.storage.flag_lists import FlagFilter

router = APIRouter(prefix="/sessions", include_in_schema=False)
_PAGE = 50


@router.get("")
def list_sessions(visit: CurrentVisit, sessions: Sessions, cursor: Cursor = "") -> HTMLResponse:
    """Sessions, the latest first."""
    scope = visit.scope(Permission.SEE_SESSIONS)
    with visit.context.database.reading() as db:
        found = session_lists.list_sessions(
            db,
            sessions.place.narrow(scope, visit),
            sessions.filter(),
            limit=_PAGE + 1,
            after=read_session_cursor(cursor),
        )
        names = unit_lists.names(db, scope)
    page, more = found[:_PAGE], len(found) > _PAGE
    return visit.page(
        "sessions/list.html",
        sessions=page,
        names=names,
        query=sessions,
        states=session_lists.STATES,
        next_cursor=session_cursor(session_lists.place_of(page[-1])) if more else None,
        is_first_page=not cursor,
    )


@router.get("/{session_id}")
def show_session(visit: CurrentVisit, session_id: UUID) -> HTMLResponse:
    """One session: its times, its timeline, the flags on it that this viewer may see."""
    scope = visit.scope(Permission.SEE_SESSIONS)
    with visit.context.database.reading() as db:
        session = session_lists.find_session(db, scope, str(session_id))
        if session is None:
            raise NotFoundError()
        on_session = FlagFilter(states=flag_lists.STATES, session_id=session.session_id)
        return visit.page(
            "sessions/detail.html",
            session=session,
            names=unit_lists.names(db, scope),
            timeline=read_timeline(db, session, visit.context.now()),
            flags=flag_lists.list_flags(db, visit.flag_scope(), on_session, limit=50),
        )
