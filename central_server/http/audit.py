"""Who looked at what and who decided what: read-only, for auditors."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import Permission
from central_server.http.dependencies import CurrentVisit
from central_server.storage import audit_lists

router = APIRouter(prefix="/audit", include_in_schema=False)
_PAGE = 100


@router.get("")
def list_entries(
    visit: CurrentVisit,
    type: Annotated[str, Query(max_length=64)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> HTMLResponse:
    """Entries of the server's chained log, the latest first."""
    visit.scope(Permission.SEE_AUDIT)
    if type and type not in audit_lists.TYPES:
        raise NotFoundError()
    with visit.context.database.reading() as db:
        lines = audit_lists.list_entries(
            db, entry_type=type or None, before=before, limit=_PAGE + 1
        )
    page, more = lines[:_PAGE], len(lines) > _PAGE
    return visit.page(
        "audit/list.html",
        lines=page,
        types=audit_lists.TYPES,
        chosen=type,
        before=page[-1].logged.sequence if more else None,
        is_first_page=before is None,
    )
