"""Flags as JSON: the pages' lists, scopes and decisions."""

from uuid import UUID

from fastapi import APIRouter

from central_server.domain.errors import NotFoundError
from central_server.http.api_models import DismissIn, FlagList, FlagOut
from central_server.http.dependencies import GUARDED, CurrentVisit
from central_server.http.error_pages import PROBLEMS
from central_server.http.filters import (
    Cursor,
    Flags,
    Limit,
    flag_cursor,
    read_flag_cursor,
)
from central_server.http.flags import decision_scope
from central_server.services import flags as flag_service
from central_server.storage import flag_lists

router = APIRouter(prefix="/flags", tags=["flags"], responses=PROBLEMS, dependencies=GUARDED)


@router.get("", operation_id="listFlags")
def list_flags(
    visit: CurrentVisit, flags: Flags, limit: Limit = 50, cursor: Cursor = ""
) -> FlagList:
    """Flags by severity and age."""
    scope = flags.scope(visit)
    with visit.context.database.reading() as db:
        found = flag_lists.list_flags(
            db, scope, flags.filter(), limit=limit + 1, after=read_flag_cursor(cursor)
        )
    page, more = found[:limit], len(found) > limit
    return FlagList(
        items=[FlagOut.of(flag, inspection=scope.inspection) for flag in page],
        next_cursor=flag_cursor(flag_lists.place_of(page[-1])) if more else None,
    )


@router.get("/{flag_id}", operation_id="getFlag")
def get_flag(visit: CurrentVisit, flag_id: UUID) -> FlagOut:
    """One flag."""
    scope = visit.flag_scope()
    with visit.context.database.reading() as db:
        flag = flag_lists.find_flag(db, scope, str(flag_id))
    if flag is None:
        raise NotFoundError()
    return FlagOut.of(flag, inspection=scope.inspection)


@router.post("/{flag_id}/take", operation_id="takeFlag")
def take(visit: CurrentVisit, flag_id: UUID) -> FlagOut:
    """The flag is mine to look into."""
    flag = flag_service.take(
        visit.context, decision_scope(visit), str(flag_id), visit.viewer.user_id
    )
    return FlagOut.of(flag, inspection=True)


@router.post("/{flag_id}/release", operation_id="releaseFlag")
def release(visit: CurrentVisit, flag_id: UUID) -> FlagOut:
    """Undo of taken or dismissed."""
    flag = flag_service.release(
        visit.context, decision_scope(visit), str(flag_id), visit.viewer.user_id
    )
    return FlagOut.of(flag, inspection=True)


@router.post("/{flag_id}/dismiss", operation_id="dismissFlag")
def dismiss(visit: CurrentVisit, flag_id: UUID, decision: DismissIn) -> FlagOut:
    """Nothing is to be done, for this reason."""
    flag = flag_service.dismiss(
        visit.context,
        decision_scope(visit),
        str(flag_id),
        visit.viewer.user_id,
        decision.reason,
    )
    return FlagOut.of(flag, inspection=True)
