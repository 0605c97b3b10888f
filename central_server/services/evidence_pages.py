"""Requests for pictures as a flag's page shows them: never blank, also where nothing can be had."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from central_server.domain.errors import NotFoundError
from central_server.domain.evidence import EvidenceState, missing_parts
from central_server.domain.evidence_log import EvidenceViewed
from central_server.domain.permissions import UnitScope
from central_server.services.context import ServerContext
from central_server.services.evidence import VIEW_LASTS, files_of, find_sight
from central_server.storage import evidence
from central_server.storage.evidence_tables import (
    EvidenceHistoryRow,
    EvidenceRequestRow,
    EvidenceTransferRow,
)
from central_server.storage.tables import FlagRow
from event_protocol.evidence import EvidenceKind, Span

_VIEWED = EvidenceViewed.model_fields["type"].default


@dataclass(frozen=True, slots=True)
class RequestView:
    """One request; `arrived` of `expected` bytes stand while it is under way, else `None`."""

    request: EvidenceRequestRow
    history: Sequence[EvidenceHistoryRow]
    covered: Sequence[Span]
    missing: Sequence[Span]  # once it is answered; of a snapshot nothing is
    arrived: int | None
    expected: int | None
    is_open: bool  # this viewer has said why of late, and may play it
    is_lost: bool  # received, but not on the disk any more

    @property
    def phase(self) -> str:
        """The request's state, or `under_way` once the device has begun to send."""
        return self.request.state if self.arrived is None else "under_way"

    @property
    def progress(self) -> str | None:
        """Changes as the request does; `None` once there is no more to come."""
        if self.phase not in (EvidenceState.ASKED.value, "under_way"):
            return None
        return f"{self.phase}-{self.arrived or 0}"


@dataclass(frozen=True, slots=True)
class Pictures:
    """All that a flag's page says of pictures."""

    requests: list[RequestView]
    can_be_asked: bool  # a camera of ours saw what the flag is about
    waiting_kinds: frozenset[str]  # of these a request waits: no second one


def read_pictures(context: ServerContext, flag: FlagRow, viewer: str) -> Pictures:
    """Of a flag that was found in a scope, for somebody who may see pictures."""
    with context.database.reading() as db:
        requests = read_requests(db, context, flag, viewer)
        can_be_asked = find_sight(db, flag) is not None
    waiting = (one.request for one in requests if one.request.state == EvidenceState.ASKED.value)
    return Pictures(requests, can_be_asked, frozenset(row.kind for row in waiting))


def read_requests(
    db: Session, context: ServerContext, flag: FlagRow, viewer: str
) -> list[RequestView]:
    """All that was asked for about a flag that was found in a scope, the latest first."""
    return _views(db, context, evidence.list_of_flag(db, flag), viewer)


def read_request(
    context: ServerContext, scope: UnitScope, request_id: str, viewer: str
) -> RequestView:
    """One request; `NotFoundError` outside the scope."""
    with context.database.reading() as db:
        row = evidence.find_request(db, scope, request_id)
        if row is None:
            raise NotFoundError()
        return _views(db, context, [row], viewer)[0]


def _views(
    db: Session, context: ServerContext, rows: Sequence[EvidenceRequestRow], viewer: str
) -> list[RequestView]:
    names = [row.request_id for row in rows]
    histories, transfers = evidence.histories(db, names), evidence.transfers(db, names)
    return [
        _view(context, row, histories[row.request_id], transfers.get(row.request_id), viewer)
        for row in rows
    ]


def _view(
    context: ServerContext,
    row: EvidenceRequestRow,
    history: Sequence[EvidenceHistoryRow],
    transfer: EvidenceTransferRow | None,
    viewer: str,
) -> RequestView:
    covered = [Span.model_validate(part) for part in row.covered]
    is_whole_wanted = row.answered_at is not None and row.kind == EvidenceKind.CLIP.value
    is_sending = row.state == EvidenceState.ASKED.value and transfer and transfer.sha256
    opened = [done.at for done in history if (done.type, done.by) == (_VIEWED, viewer)]
    is_received = row.state == EvidenceState.RECEIVED.value
    return RequestView(
        request=row,
        history=history,
        covered=covered,
        missing=missing_parts(Span(begin=row.begin, end=row.end), covered)
        if is_whole_wanted
        else (),
        arrived=files_of(context).offset_of(row.request_id, transfer.sha256 or "")
        if transfer and is_sending
        else None,
        expected=transfer.size if transfer and is_sending else None,
        is_lost=is_received and not files_of(context).has(row.sha256 or ""),
        is_open=bool(opened) and context.now() - opened[-1] <= VIEW_LASTS,
    )
