"""Clips and snapshots as JSON: what was asked for, what came of it, and the pictures."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import Permission
from central_server.http.api_models import UtcInstant
from central_server.http.dependencies import GUARDED, CurrentVisit
from central_server.http.error_pages import PROBLEMS
from central_server.http.evidence import asking_scope, content, set_hold
from central_server.services import evidence as evidence_service
from central_server.services import evidence_pages
from central_server.services.evidence import MAX_REASON_CHARACTERS
from central_server.services.evidence_pages import RequestView
from central_server.storage import flag_lists
from event_protocol.evidence import EvidenceKind, Span, Unavailable

router = APIRouter(tags=["evidence"], responses=PROBLEMS, dependencies=GUARDED)


class AskIn(BaseModel):
    """What is asked for, and why."""

    kind: EvidenceKind = EvidenceKind.CLIP
    reason: str = Field(min_length=1, max_length=MAX_REASON_CHARACTERS)


class ReasonIn(BaseModel):
    """Why; it is logged."""

    reason: str = Field(min_length=1, max_length=MAX_REASON_CHARACTERS)


class DoneOut(BaseModel):
    """One thing that was done about a request; `by` is null for the server and the device."""

    type: str
    at: UtcInstant
    by: str | None
    reason: str | None


class SpanOut(BaseModel):
    """A stretch of time."""

    begin: UtcInstant
    end: UtcInstant


class EvidenceOut(BaseModel):
    """One request; `missing` says of which part of the span nobody has pictures, `reason` why."""

    request_id: str
    flag_id: str
    desk: str
    device: str
    kind: EvidenceKind
    begin: UtcInstant
    end: UtcInstant
    asked_at: UtcInstant
    asked_by: str | None = Field(description="Null: by the settings, for flags of this rule.")
    expires: UtcInstant
    state: Literal["asked", "under_way", "received", "unavailable", "expired", "erased"]
    answered_at: UtcInstant | None
    reason: Unavailable | None
    covered: list[SpanOut]
    missing: list[SpanOut]
    arrived_bytes: int | None
    size: int | None
    sha256: str | None
    held: bool
    history: list[DoneOut]

    @classmethod
    def of(cls, view: RequestView) -> "EvidenceOut":
        """As the flag's page shows it."""
        row = view.request
        return cls.model_validate(
            {
                **row.model_dump(),
                "state": view.phase,
                "size": row.size or view.expected,
                "covered": _spans(view.covered),
                "missing": _spans(view.missing),
                "arrived_bytes": view.arrived,
                "history": [done.model_dump() for done in view.history],
            }
        )


class EvidenceList(BaseModel):
    """What was asked for about one flag, the latest first."""

    items: list[EvidenceOut]


def _spans(spans: Sequence[Span]) -> list[dict[str, object]]:
    return [span.model_dump() for span in spans]


@router.get("/flags/{flag_id}/evidence", operation_id="listEvidence")
def list_requests(visit: CurrentVisit, flag_id: UUID) -> EvidenceList:
    """What was asked for about that flag."""
    visit.scope(Permission.SEE_EVIDENCE)
    scope = visit.flag_scope()
    with visit.context.database.reading() as db:
        flag = flag_lists.find_flag(db, scope, str(flag_id))
        if flag is None:
            raise NotFoundError()
        views = evidence_pages.read_requests(db, visit.context, flag, visit.viewer.user_id)
    return EvidenceList(items=[EvidenceOut.of(view) for view in views])


@router.post("/flags/{flag_id}/evidence", operation_id="askForEvidence", status_code=201)
def ask(visit: CurrentVisit, flag_id: UUID, asked: AskIn) -> EvidenceOut:
    """Ask the desk's box for pictures of what the flag is about, five seconds more at both ends."""
    row = evidence_service.ask(
        visit.context,
        asking_scope(visit),
        str(flag_id),
        asked.kind,
        by=visit.viewer.user_id,
        reason=asked.reason,
    )
    return _read(visit, row.request_id)


@router.get("/evidence/{request_id}", operation_id="getEvidence")
def get_request(visit: CurrentVisit, request_id: UUID) -> EvidenceOut:
    """One request."""
    return _read(visit, str(request_id))


@router.post("/evidence/{request_id}/views", operation_id="openEvidence")
def open_pictures(visit: CurrentVisit, request_id: UUID, why: ReasonIn) -> EvidenceOut:
    """Say why; the content can be had for an hour from then."""
    scope = visit.scope(Permission.SEE_EVIDENCE)
    evidence_service.open_pictures(
        visit.context, scope, str(request_id), by=visit.viewer.user_id, reason=why.reason
    )
    return _read(visit, str(request_id))


@router.post("/evidence/{request_id}/hold", operation_id="holdEvidence")
def hold(visit: CurrentVisit, request_id: UUID, why: ReasonIn) -> EvidenceOut:
    """Keep it until that is lifted, whatever retention says."""
    set_hold(visit, request_id, why.reason, held=True)
    return _read(visit, str(request_id))


@router.post("/evidence/{request_id}/lift", operation_id="liftEvidenceHold")
def lift(visit: CurrentVisit, request_id: UUID, why: ReasonIn) -> EvidenceOut:
    """No longer held."""
    set_hold(visit, request_id, why.reason, held=False)
    return _read(visit, str(request_id))


@router.get(
    "/evidence/{request_id}/content",
    operation_id="getEvidenceContent",
    response_class=FileResponse,
)
def get_content(visit: CurrentVisit, request_id: UUID) -> FileResponse:
    """The MP4 or JPEG, whole or by `Range`; 409 until this log-in has opened it."""
    return content(visit, request_id)


def _read(visit: CurrentVisit, request_id: str) -> EvidenceOut:
    scope = visit.scope(Permission.SEE_EVIDENCE)
    view = evidence_pages.read_request(visit.context, scope, request_id, visit.viewer.user_id)
    return EvidenceOut.of(view)
