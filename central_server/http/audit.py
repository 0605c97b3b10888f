"""Who looked at what and who decided what, and the log's signed heads: read-only, for auditors."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse, Response

from central_server.domain.custody_log import LogAnchored
from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import Permission
from central_server.http.dependencies import CurrentVisit, Visit
from central_server.storage import anchors, audit_lists, server_log
from event_protocol.canonical import canonical_bytes
from event_protocol.server_heads import SignedHead

router = APIRouter(prefix="/audit", include_in_schema=False)
_PAGE = 100

PlaceInLog = Annotated[int, Path(ge=1, le=2**53)]


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


@router.get("/heads")
def list_heads(
    visit: CurrentVisit, before: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> HTMLResponse:
    """The log's signed heads, the latest first."""
    visit.scope(Permission.SEE_AUDIT)
    with visit.context.database.reading() as db:
        found = anchors.list_anchors(db, before=before, limit=_PAGE + 1)
    page, more = found[:_PAGE], len(found) > _PAGE
    return visit.page("audit/heads.html", anchors=page, before=page[-1].sequence if more else None)


@router.get("/heads/{sequence}")
def show_head(visit: CurrentVisit, sequence: PlaceInLog) -> HTMLResponse:
    """One head on one sheet of paper."""
    head = _head(visit, sequence)
    copy = canonical_bytes(head.model_dump(mode="json")).decode()
    return visit.page("audit/head.html", head=head, sequence=sequence, copy=copy)


@router.get("/heads/{sequence}/copy")
def download_head(visit: CurrentVisit, sequence: PlaceInLog) -> Response:
    """The same as a file, for `verify_export --head`."""
    head = _head(visit, sequence)
    name = f"head-{head.time:%Y%m%d}-{head.through}.json"
    return Response(
        canonical_bytes(head.model_dump(mode="json")) + b"\n",
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _head(visit: Visit, sequence: int) -> SignedHead:
    """`NotFoundError` for what is no anchor, and for everybody else."""
    visit.scope(Permission.SEE_AUDIT)
    with visit.context.database.reading() as db:
        logged = server_log.find(db, sequence)
    if logged is None or not isinstance(logged.entry, LogAnchored):
        raise NotFoundError()
    return logged.entry.head
