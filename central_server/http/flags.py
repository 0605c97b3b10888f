"""The inspector's queue, one flag on one screen, and what is decided about it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import FlagScope, Permission
from central_server.http.dependencies import GUARDED, CurrentVisit, Visit
from central_server.http.filters import Cursor, Flags, flag_cursor, read_flag_cursor
from central_server.http.login import own_path
from central_server.services import conversations, evidence_pages, feed_places, flag_pages
from central_server.services import flags as flag_service
from central_server.services.evidence import MAX_REASON_CHARACTERS
from central_server.services.evidence_pages import Pictures
from central_server.storage import flag_lists, unit_lists
from central_server.storage.tables import FlagRow

router = APIRouter(prefix="/flags", include_in_schema=False, dependencies=GUARDED)
_PAGE = 50


@router.get("")
def list_flags(visit: CurrentVisit, flags: Flags, cursor: Cursor = "") -> HTMLResponse:
    """Flags by severity, the newest first; all filters stand in the address."""
    scope, wanted = flags.scope(visit), flags.filter()
    with visit.context.database.reading() as db:
        # Read before the rows: a change in between is told twice rather than never.
        feed = flag_lists.feed_head(db, scope)
        found = flag_lists.list_flags(
            db, scope, wanted, limit=_PAGE + 1, after=read_flag_cursor(cursor)
        )
        counts = flag_lists.count_flags(db, scope, wanted)
        names = unit_lists.names(db, visit.flag_scope().units)
    page, more = found[:_PAGE], len(found) > _PAGE
    return visit.page(
        "flags/list.html",
        flags=page,
        counts=counts,
        names=names,
        query=flags,
        feed=feed_places.write_place(feed, visit.context.keys.pepper),
        inspection=scope.inspection,
        rules=flag_pages.rules_for(scope),
        next_cursor=flag_cursor(flag_lists.place_of(page[-1])) if more else None,
        is_first_page=not cursor,
        may_decide=visit.viewer.may(Permission.DECIDE_FLAGS),
    )


@router.get("/{flag_id}")
def show_flag(visit: CurrentVisit, flag_id: UUID) -> HTMLResponse:
    """What rule, which facts, the session's timeline, the desk's last weeks, the actions."""
    sees_feedback = visit.viewer.may(Permission.SEE_FEEDBACK)
    inspection = visit.flag_scope().inspection
    detail = flag_pages.read_flag(
        visit.context, visit.flag_scope(), str(flag_id), sees_feedback=sees_feedback
    )
    if detail.words is not None:
        flag_service.log_view(
            visit.context, visit.viewer.user_id, "feedback.words", detail.words.feedback_id
        )
    return visit.page(
        "flags/detail.html",
        detail=detail,
        flag=detail.flag,
        facts=flag_pages.facts_of(detail.flag, inspection=inspection),
        inspection=inspection,
        may_decide=visit.viewer.may(Permission.DECIDE_FLAGS),
        maximum=flag_service.MAX_REASON_CHARACTERS,
        may_see_session=visit.viewer.may(Permission.SEE_SESSIONS),
        is_anybody_told=bool(visit.context.settings.notify.targets),
        pictures=_pictures(visit, detail.flag),
        may_ask=visit.viewer.may(Permission.ASK_EVIDENCE),
        longest_reason=MAX_REASON_CHARACTERS,
    )


@router.post("/{flag_id}/take")
def take(visit: CurrentVisit, flag_id: UUID, next: Annotated[str, Form()] = "") -> Response:
    """The flag is mine to look into."""
    flag = flag_service.take(
        visit.context, decision_scope(visit), str(flag_id), visit.viewer.user_id
    )
    return _back(flag, next)


@router.post("/{flag_id}/release")
def release(visit: CurrentVisit, flag_id: UUID, next: Annotated[str, Form()] = "") -> Response:
    """Undo: open again."""
    flag = flag_service.release(
        visit.context, decision_scope(visit), str(flag_id), visit.viewer.user_id
    )
    return _back(flag, next)


@router.post("/{flag_id}/dismiss")
def dismiss(
    visit: CurrentVisit,
    flag_id: UUID,
    reason: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",
) -> Response:
    """Nothing is to be done, for this reason."""
    flag = flag_service.dismiss(
        visit.context, decision_scope(visit), str(flag_id), visit.viewer.user_id, reason
    )
    return _back(flag, next)


@router.post("/{flag_id}/acknowledge")
def acknowledge(visit: CurrentVisit, flag_id: UUID) -> Response:
    """I have seen the notification."""
    scope = decision_scope(visit)
    flag_service.acknowledge(visit.context, scope, str(flag_id), visit.viewer.user_id)
    return RedirectResponse(f"/flags/{flag_id}", 303)


@router.post("/{flag_id}/answer")
def answer(visit: CurrentVisit, flag_id: UUID, words: Annotated[str, Form()] = "") -> Response:
    """A line to the citizen, who reads it on the receipt."""
    detail = flag_pages.read_flag(
        visit.context, decision_scope(visit), str(flag_id), sees_feedback=True
    )
    if detail.words is None:
        raise NotFoundError()
    scope = visit.scope(Permission.SEE_FEEDBACK)
    conversations.answer(visit.context, visit.viewer, scope, detail.words.feedback_id, words)
    return RedirectResponse(f"/flags/{flag_id}#conversation", 303)


def decision_scope(visit: Visit) -> FlagScope:
    """The flags that the viewer may decide; none exist for those who may not."""
    if not visit.viewer.may(Permission.DECIDE_FLAGS):
        raise NotFoundError()
    return visit.flag_scope()


def _pictures(visit: Visit, flag: FlagRow) -> Pictures | None:
    """What was asked for about the flag, for the inspection side alone."""
    if not visit.viewer.may(Permission.SEE_EVIDENCE):
        return None
    return evidence_pages.read_pictures(visit.context, flag, visit.viewer.user_id)


def _back(flag: FlagRow, target: str) -> Response:
    return RedirectResponse(own_path(target) if target else f"/flags/{flag.flag_id}", 303)
