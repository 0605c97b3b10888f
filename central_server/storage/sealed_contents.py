"""What is sealed beside the logs' records: found by its key, erased without touching them."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Exists, and_, exists, or_, select, text, update
from sqlmodel import Session, col
from sqlmodel import select as select_rows

from central_server.domain.custody_log import FeedbackErased
from central_server.storage import feedback_sources
from central_server.storage.account_tables import SecondFactorRow
from central_server.storage.evidence_tables import EvidenceRequestRow
from central_server.storage.tables import (
    EventRow,
    FeedbackEntryRow,
    FeedbackRow,
    FlagRow,
    ServerLogRow,
    table_of,
)

_EVENT, _ENTRY = table_of(EventRow), table_of(ServerLogRow)
_FACTOR = table_of(SecondFactorRow)
_FILED = table_of(FeedbackEntryRow)
_ERASED = FeedbackErased.model_fields["type"].default


class Due(NamedTuple):
    """Feedback of that time, either complaints or the rest."""

    begin: datetime
    end: datetime
    complaints: bool


def is_sealed_to(db: Session, key_id: str) -> bool:
    """Whether anything kept here needs that key: in both logs, or an authenticator's secret."""
    return any(
        db.connection().execute(select(exists().where(column.startswith(f"{key_id}:")))).scalar()
        for column in (_EVENT.c.sealed, _ENTRY.c.sealed, _FACTOR.c.secret)
    )


def list_due(db: Session, due: Due, limit: int) -> list[FeedbackRow]:
    """Feedback that is not erased, nor needed by an open flag or a legal hold."""
    in_work = exists().where(
        col(FlagRow.feedback_id) == col(FeedbackRow.feedback_id),
        or_(
            col(FlagRow.state).in_(("open", "taken")),
            exists().where(
                col(EvidenceRequestRow.flag_id) == col(FlagRow.flag_id),
                col(EvidenceRequestRow.held),
            ),
        ),
    )
    statement = (
        select_rows(FeedbackRow)
        .where(
            FeedbackRow.quarter_at >= due.begin,
            FeedbackRow.quarter_at < due.end,
            FeedbackRow.is_complaint == due.complaints,
            ~_is_erased(),
            ~in_work,
        )
        .order_by(col(FeedbackRow.quarter_at))
        .limit(limit)
    )
    return list(db.exec(statement))


def list_come_again(db: Session) -> list[str]:
    """Feedback that is on record as erased, and can be read all the same."""
    statement = select_rows(FeedbackRow.feedback_id).where(
        col(FeedbackRow.unreadable).is_(None), _is_erased()
    )
    return list(db.exec(statement))


def erase(db: Session, feedback_id: str) -> None:
    """All that was ever sealed for it: words, later versions, its conversation."""
    if db.get_bind().dialect.name == "sqlite":
        # Else what was there stays readable in the file until its page is used again.
        db.execute(text("PRAGMA secure_delete = ON"))
    filed = select(_FILED.c.sequence).where(_FILED.c.feedback_id == feedback_id)
    db.connection().execute(update(_ENTRY).where(_ENTRY.c.sequence.in_(filed)).values(sealed=None))
    row = db.get_one(FeedbackRow, feedback_id)
    for place in feedback_sources.places_of(db, row.model_dump()):
        at = and_(*(_EVENT.c[name] == value for name, value in place._asdict().items()))
        db.connection().execute(update(_EVENT).where(at).values(sealed=None))
    db.expire_all()


def _is_erased() -> Exists:
    return exists().where(
        _FILED.c.feedback_id == col(FeedbackRow.feedback_id),
        _FILED.c.sequence == _ENTRY.c.sequence,
        _ENTRY.c.type == _ERASED,
    )
