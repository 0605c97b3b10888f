"""Entries about pictures to the rows that pages read: requests, and what was done about each."""

from typing import Any

from sqlmodel import Session

from central_server.domain.evidence import EvidenceState, next_state
from central_server.domain.evidence_log import (
    EvidenceAsked,
    EvidenceEntry,
    EvidenceHeld,
    EvidenceHoldLifted,
    EvidenceReceived,
    EvidenceUnavailable,
)
from central_server.domain.server_log import LoggedEntry
from central_server.storage import evidence
from central_server.storage.evidence_tables import EvidenceHistoryRow, EvidenceRequestRow
from event_protocol.evidence import Unavailable


def take(db: Session, logged: LoggedEntry, entry: EvidenceEntry) -> None:
    """One entry; a request's state changes as domain/evidence.py says."""
    if isinstance(entry, EvidenceAsked):
        row: EvidenceRequestRow | None = _asked(logged, entry)
    else:
        row = evidence.get_row(db, str(entry.request_id))
        if row is not None:
            _change(row, logged, entry)
    if row is not None:
        evidence.save(db, row, _history(logged, entry))


def _asked(logged: LoggedEntry, entry: EvidenceAsked) -> EvidenceRequestRow:
    return EvidenceRequestRow(
        request_id=str(entry.request_id),
        flag_id=str(entry.flag_id),
        unit_id=entry.unit_id,
        device=entry.device,
        desk=entry.desk,
        kind=entry.kind.value,
        begin=entry.begin,
        end=entry.end,
        asked_at=logged.time,
        asked_by=entry.by,
        expires=entry.expires,
        state=EvidenceState.ASKED.value,
    )


def _change(row: EvidenceRequestRow, logged: LoggedEntry, entry: EvidenceEntry) -> None:
    if isinstance(entry, EvidenceHeld | EvidenceHoldLifted):
        row.held = isinstance(entry, EvidenceHeld)
    state = next_state(EvidenceState(row.state), type(entry))
    if state is None:
        return
    row.state = state.value
    if isinstance(entry, EvidenceReceived | EvidenceUnavailable):
        row.answered_at = logged.time
        row.covered = entry.report.get("covered", [])
        row.reason = entry.report.get("reason")
    if isinstance(entry, EvidenceReceived):
        content = entry.report["content"]
        row.sha256, row.size = content["sha256"], content["size"]
    elif isinstance(entry, EvidenceUnavailable) and row.reason is None:
        row.reason = Unavailable.KEYS_LOST.value  # it asked for keys that nobody can open


def _history(logged: LoggedEntry, entry: EvidenceEntry) -> EvidenceHistoryRow:
    said: dict[str, Any] = entry.model_dump(include={"by", "reason"})
    return EvidenceHistoryRow(
        sequence=logged.sequence,
        request_id=str(entry.request_id),
        type=entry.type,
        at=logged.time,
        by=said.get("by"),
        reason=said.get("reason"),
    )
