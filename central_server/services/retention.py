"""What citizens said goes when its time is over, or when somebody rightly asks; the chains stay.

The ciphertext lies beside the chained bytes, so erasing it changes no hash. What figures and flags
were made of is kept in the log's own entry: reports of the past can be made again, and a rebuild
derives the same. Links to a session go with the words.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from central_server.domain.custody_log import ErasedForm, FeedbackErased
from central_server.domain.errors import ConflictError, NotFoundError
from central_server.domain.feedback import Match
from central_server.services import (
    complaint_receipts,
    feedback_projector,
    log_retention,
    projector,
)
from central_server.services.context import ServerContext
from central_server.services.projection_run import announce
from central_server.settings import RetentionPeriod
from central_server.storage import feedback_entries, sealed_contents, server_log
from central_server.storage.sealed_contents import Due
from central_server.storage.tables import FeedbackRow
from event_protocol.feedback import FeedbackContent
from event_protocol.receipt_codes import read_code

_AT_ONCE = 50


def run_due(context: ServerContext) -> int:
    """Erases what is due by its age; returns how many. Called now and then, and may be repeated.

    A complaint stays while its flag is open or its pictures are held. Then old events may go.
    """
    erased = 0
    for due in _spans(context.settings.retention, context.now()):
        while True:
            with context.database.transaction() as db:
                server_log.lock(db)
                found = sealed_contents.list_due(db, due, _AT_ONCE)
                for row in found:
                    _erase(db, context, row, by=None, reason=None)
            erased += len(found)
            if len(found) < _AT_ONCE:
                break
    _erase_what_came_again(context)
    log_retention.run_due(context)
    return erased


def erase(context: ServerContext, named: str, *, by: str, reason: str) -> str:
    """On request, by a feedback's id or its receipt's code; returns the id.

    Raises `NotFoundError`, and `ConflictError` if it is erased already.
    """
    feedback_id = _find_id(context, named)
    with context.database.transaction() as db:
        server_log.lock(db)
        row = db.get(FeedbackRow, feedback_id)
        if row is None:
            raise NotFoundError()
        if row.unreadable == feedback_projector.GONE:
            raise ConflictError()
        _erase(db, context, row, by=by, reason=reason)
    return feedback_id


def _find_id(context: ServerContext, named: str) -> str:
    try:
        return str(UUID(named))
    except ValueError:
        code = read_code(named)
        found = None if code is None else complaint_receipts.find_receipt(context, code)
        if found is None:
            raise NotFoundError() from None
        return found.feedback_id


def _erase(
    db: Session, context: ServerContext, row: FeedbackRow, *, by: str | None, reason: str | None
) -> None:
    run = projector.open_run(db, context)
    opened = feedback_projector.open_again(run, row.feedback_id)
    last = None if opened is None else opened.content
    # Without its time and words no session will ever be found for it.
    match = Match.UNMATCHED if row.match == Match.PENDING else Match(row.match)
    entry = FeedbackErased(
        feedback_id=UUID(row.feedback_id),
        by=by,
        reason=reason,
        last=_form(last),
        complaints=() if opened is None else tuple(map(_form, opened.complaints)),
        survey={} if last is None else dict(last.survey),
        match=match.value,
        weight=row.weight,
    )
    feedback_entries.append(db, row.feedback_id, entry, at=context.now())
    sealed_contents.erase(db, row.feedback_id)
    projector.project_server_log(db, context)


def _erase_what_came_again(context: ServerContext) -> None:
    """A server that was restored gets sealed contents again that were erased meanwhile."""
    with context.database.transaction() as db:
        server_log.lock(db)
        run = projector.open_run(db, context)
        for feedback_id in sealed_contents.list_come_again(db):
            sealed_contents.erase(db, feedback_id)
            feedback_projector.project_erased(run, feedback_id)
        announce(run)


def _form(content: FeedbackContent | None) -> ErasedForm:
    if content is None:
        return ErasedForm()
    return ErasedForm(rating=content.rating, reasons=content.reasons)


def _spans(periods: Sequence[RetentionPeriod], now: datetime) -> list[Due]:
    """What is due of each period's feedback, apart for ratings and complaints."""
    ordered = sorted(periods, key=lambda period: period.since)
    ends = [period.since for period in ordered[1:]] + [date.max]
    due: list[Due] = []
    for period, end in zip(ordered, ends, strict=True):
        for complaints, days in ((False, period.ratings_days), (True, period.complaints_days)):
            until = min(_begin_of(end), now - timedelta(days=days))
            due.append(Due(_begin_of(period.since), until, complaints))
    return due


def _begin_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
