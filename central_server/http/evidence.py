"""Clips and snapshots on a flag's page: ask, open with a reason, play, hold."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from fastapi.responses import FileResponse, RedirectResponse, Response

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import FlagScope, Permission
from central_server.http.dependencies import GUARDED, CurrentVisit, Visit
from central_server.services import evidence as evidence_service
from central_server.services import evidence_pages
from central_server.storage.evidence_tables import EvidenceRequestRow
from event_protocol.evidence import MEDIA_TYPE_OF, EvidenceKind

router = APIRouter(include_in_schema=False, dependencies=GUARDED)

ReasonField = Annotated[str, Form()]
# What is shown is a picture and nothing else, also if a browser is told to open it by itself.
_CONTENT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SUFFIX = {EvidenceKind.CLIP: "mp4", EvidenceKind.SNAPSHOT: "jpg"}


@router.post("/flags/{flag_id}/evidence")
def ask(
    visit: CurrentVisit,
    flag_id: UUID,
    kind: Annotated[EvidenceKind, Form()] = EvidenceKind.CLIP,
    reason: ReasonField = "",
) -> Response:
    """Ask the desk's box for pictures of what the flag is about."""
    row = evidence_service.ask(
        visit.context,
        asking_scope(visit),
        str(flag_id),
        kind,
        by=visit.viewer.user_id,
        reason=reason,
    )
    return _back(row)


@router.get("/evidence/{request_id}")
def follow(visit: CurrentVisit, request_id: UUID, seen: str = "") -> Response:
    """The request as the flag's page shows it; nothing (204) while it is as it was seen."""
    view = evidence_pages.read_request(
        visit.context,
        visit.scope(Permission.SEE_EVIDENCE),
        str(request_id),
        visit.viewer.user_id,
    )
    if view.progress is not None and view.progress == seen:
        return Response(status_code=204)
    return visit.page(
        "evidence/_followed.html",
        view=view,
        may_ask=visit.viewer.may(Permission.ASK_EVIDENCE),
        longest_reason=evidence_service.MAX_REASON_CHARACTERS,
    )


@router.post("/evidence/{request_id}/view")
def open_pictures(visit: CurrentVisit, request_id: UUID, reason: ReasonField = "") -> Response:
    """Say why, then see them."""
    scope = visit.scope(Permission.SEE_EVIDENCE)
    row = evidence_service.open_pictures(
        visit.context, scope, str(request_id), by=visit.viewer.user_id, reason=reason
    )
    return _back(row)


@router.post("/evidence/{request_id}/hold")
def hold(visit: CurrentVisit, request_id: UUID, reason: ReasonField = "") -> Response:
    """Keep them until this is lifted."""
    return _back(set_hold(visit, request_id, reason, held=True))


@router.post("/evidence/{request_id}/lift")
def lift(visit: CurrentVisit, request_id: UUID, reason: ReasonField = "") -> Response:
    """No longer held."""
    return _back(set_hold(visit, request_id, reason, held=False))


@router.get("/evidence/{request_id}/content")
def play(visit: CurrentVisit, request_id: UUID) -> FileResponse:
    """The pictures themselves, whole or a range of them."""
    return content(visit, request_id)


def asking_scope(visit: Visit) -> FlagScope:
    """The flags about which the viewer may ask; none exist for those who may not."""
    if not visit.viewer.may(Permission.ASK_EVIDENCE):
        raise NotFoundError()
    return visit.flag_scope()


def set_hold(visit: Visit, request_id: UUID, reason: str, *, held: bool) -> EvidenceRequestRow:
    """Sets or lifts it, for who may ask."""
    return evidence_service.set_hold(
        visit.context,
        visit.scope(Permission.ASK_EVIDENCE),
        str(request_id),
        by=visit.viewer.user_id,
        reason=reason,
        held=held,
    )


def content(visit: Visit, request_id: UUID) -> FileResponse:
    """The file, for who has opened it; with ranges, never stored by a browser."""
    row, path = evidence_service.content_of(
        visit.context,
        visit.scope(Permission.SEE_EVIDENCE),
        str(request_id),
        visit.viewer.user_id,
    )
    kind = EvidenceKind(row.kind)
    return FileResponse(
        path,
        media_type=MEDIA_TYPE_OF[kind],
        filename=f"{row.request_id}.{_SUFFIX[kind]}",
        content_disposition_type="inline",
        headers=_CONTENT_HEADERS,
    )


def _back(row: EvidenceRequestRow) -> Response:
    return RedirectResponse(f"/flags/{row.flag_id}#evidence", 303)
