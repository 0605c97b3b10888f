"""What a receipt's holder may be shown of a feedback: found by the code's hash, never by unit."""

from collections.abc import Iterable

from sqlmodel import Session, col, select

from central_server.storage.tables import FeedbackRow, FlagRow


def find_feedback(db: Session, receipt_hashes: Iterable[str]) -> FeedbackRow | None:
    """The feedback whose receipt has one of those hashes."""
    query = select(FeedbackRow).where(col(FeedbackRow.receipt_hash).in_(list(receipt_hashes)))
    return db.exec(query).first()


def list_flags(db: Session, feedback_id: str) -> list[FlagRow]:
    """The flags that this feedback raised."""
    return list(db.exec(select(FlagRow).where(FlagRow.feedback_id == feedback_id)))
