"""What people did and looked at, from the server's own log, for auditors."""

from dataclasses import dataclass
from typing import get_args

from sqlmodel import Session, col, select

from central_server.domain.custody_log import (
    FeedbackErased,
    KeysRotated,
    LogAnchored,
    SealingKeysRetired,
    ServerRestored,
)
from central_server.domain.evidence_log import EvidenceEntry
from central_server.domain.server_log import (
    Entry,
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
    LogAnchored,
    KeysRotated,
    SealingKeysRetired,
    FeedbackErased,
    ServerRestored,
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
    by, what = getattr(entry, "by", None), getattr(entry, "what", None)
    reason = getattr(entry, "reason", None)
    return AuditLine(logged, by, what, _subject(entry), reason)


def _subject(entry: Entry) -> str:
    """What the entry is about, in one word."""
    match entry:
        case Viewed() | RegistryChanged():
            return entry.subject
        case FlagDismissed() | FlagTaken() | FlagReleased() | NotificationAcknowledged():
            return str(entry.flag_id)
        case FeedbackErased():
            return str(entry.feedback_id)
    return _subject_of_keeping(entry)


def _subject_of_keeping(entry: Entry) -> str:
    match entry:
        case RulesActivated():
            return entry.rules_hash[:12]
        case LogAnchored():
            return entry.head.hash[:12]
        case KeysRotated():
            return (entry.sealing or "")[:16]
        case SealingKeysRetired():
            return ", ".join(entry.sealing)
        case ServerRestored():
            return entry.backup.isoformat()
    return str(getattr(entry, "request_id", ""))  # of pictures
