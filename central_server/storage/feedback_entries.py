"""A feedback's entries in the server's log, and the forms and QR tokens that have counted."""

from datetime import datetime

from sqlmodel import Session, col, delete, select

from central_server.domain.server_log import Entry, LoggedEntry
from central_server.storage import server_log
from central_server.storage.tables import FeedbackEntryRow, UsedTokenRow


def append(
    db: Session, feedback_id: str, entry: Entry, *, at: datetime, sealed: str | None = None
) -> None:
    """The entry at the log's end, filed under its feedback."""
    logged = server_log.append(db, entry, at=at, sealed=sealed)
    db.add(FeedbackEntryRow(sequence=logged.sequence, feedback_id=feedback_id))
    db.flush()


def list_entries(db: Session, feedback_id: str) -> list[LoggedEntry]:
    """First tap, completions, messages and erasure, oldest first."""
    query = select(FeedbackEntryRow.sequence).where(FeedbackEntryRow.feedback_id == feedback_id)
    sequences = db.exec(query.order_by(col(FeedbackEntryRow.sequence)))
    found = [server_log.find(db, sequence) for sequence in sequences]
    return [entry for entry in found if entry is not None]


def find_used(db: Session, token: str) -> str | None:
    """The feedback for which that form or token has counted."""
    row = db.get(UsedTokenRow, token)
    return None if row is None else row.feedback_id


def mark_used(db: Session, token: str, feedback_id: str, expires_at: datetime) -> None:
    """It counts no second time; the mark stays until nobody could send it again."""
    db.add(UsedTokenRow(token=token, feedback_id=feedback_id, expires_at=expires_at))
    db.flush()


def drop_expired(db: Session, before: datetime) -> None:
    """Marks whose tokens no longer hold by themselves."""
    db.exec(delete(UsedTokenRow).where(col(UsedTokenRow.expires_at) < before))
