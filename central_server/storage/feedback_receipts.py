"""What a receipt's holder may be shown of a feedback: found by the code's hash, never by unit."""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from central_server.storage.tables import FeedbackRow, FlagRow


def is_known_hint(db: Session, hint: str) -> bool:
    """Whether a receipt's hash begins so; cheap, as hashes are indexed."""
    column = col(FeedbackRow.receipt_hash)
    query = select(FeedbackRow.feedback_id).where(column >= hint, column < hint + "g")
    return db.exec(query).first() is not None


def find_feedback(db: Session, receipt_hashes: Iterable[str]) -> FeedbackRow | None:
    """The feedback whose receipt has one of those hashes."""
    query = select(FeedbackRow).where(col(FeedbackRow.receipt_hash).in_(list(receipt_hashes)))
    return db.exec(query).first()


def list_flags(db: Session, feedback_id: str) -> list[FlagRow]:
    """The flags that this feedback raised."""
    return list(db.exec(select(FlagRow).where(FlagRow.feedback_id == feedback_id)))
