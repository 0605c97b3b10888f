"""What people did and looked at, from the server's own log, for auditors."""

from dataclasses import dataclass
from typing import get_args

from sqlmodel import Session, col, select

from central_server.domain.evidence_log import EvidenceEntry
from central_server.domain.server_log import (
    FlagDismissed,
    FlagReleased,
    FlagTaken,
    LoggedEntry,
    NotificationAcknowledged,
    RegistryChanged,
    RulesActivated,
    Viewed,
)
from central_server.storage import server_log
from central_server.storage.tables import ServerLogRow

_AUDITED = (
    Viewed,
    FlagTaken,
    FlagReleased,
    FlagDismissed,
    NotificationAcknowledged,
    RegistryChanged,
    RulesActivated,
    *get_args(EvidenceEntry),
)
TYPES = tuple(str(entry.model_fields["type"].default) for entry in _AUDITED)


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry in the terms that all kinds share."""

    logged: LoggedEntry
    by: str | None
    what: str | None
    subject: str
    reason: str | None


def list_entries(
    db: Session, *, entry_type: str | None, before: int | None, limit: int
) -> list[AuditLine]:
    """The latest first; `before` is a place in the log."""
    query = select(ServerLogRow.sequence).where(
        col(ServerLogRow.type).in_((entry_type,) if entry_type else TYPES)
    )
    if before is not None:
        query = query.where(col(ServerLogRow.sequence) < before)
    sequences = db.exec(query.order_by(col(ServerLogRow.sequence).desc()).limit(limit)).all()
    found = (server_log.find(db, sequence) for sequence in sequences)
    return [_line(logged) for logged in found if logged is not None]


def _line(logged: LoggedEntry) -> AuditLine:
    entry = logged.entry
    if isinstance(entry, Viewed):
        return AuditLine(logged, entry.by, entry.what, entry.subject, entry.reason)
    if isinstance(entry, RegistryChanged):
        return AuditLine(logged, entry.by, entry.what, entry.subject, None)
    if isinstance(entry, FlagDismissed):
        return AuditLine(logged, entry.by, None, str(entry.flag_id), entry.reason)
    if isinstance(entry, FlagTaken | FlagReleased | NotificationAcknowledged):
        return AuditLine(logged, entry.by, None, str(entry.flag_id), None)
    if isinstance(entry, RulesActivated):
        return AuditLine(logged, None, None, entry.rules_hash[:12], None)
    if isinstance(entry, EvidenceEntry):
        by, reason = getattr(entry, "by", None), getattr(entry, "reason", None)
        return AuditLine(logged, by, None, str(entry.request_id), reason)
    raise TypeError(entry.type)  # a type of `TYPES` without a line is our own mistake
