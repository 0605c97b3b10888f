"""The anonymous conversation on a receipt, between its holder and the inspection team.

Words are sealed in the server's log like all feedback; `messages_of` opens them for a page.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from central_server.domain.errors import InvalidError, NotFoundError
from central_server.domain.permissions import UnitScope, Viewer, require_in
from central_server.domain.server_log import MessageWritten
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.services.rating_forms import ReplyForm
from central_server.storage import feedback_entries, server_log
from central_server.storage.tables import FeedbackRow
from event_protocol.feedback import (
    MAX_COMMENT_CHARACTERS,
    FeedbackContent,
    clean_text,
    content_digest,
    make_salt,
)
from event_protocol.sealing import seal, unseal


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `by`: an inspector's log-in name, never shown to the citizen; `None`: the citizen.

    `at` is the quarter of an hour; `words` is `None` once retention has erased them.
    """

    by: str | None
    words: str | None
    at: datetime


def messages_of(db: Session, feedback_id: str, context: ServerContext) -> list[Message]:
    """The conversation so far, oldest first. For the receipt's holder and the inspection side."""
    return [
        Message(logged.entry.by, _open(logged.sealed, logged.entry.digest, context), logged.time)
        for logged in feedback_entries.list_entries(db, feedback_id)
        if isinstance(logged.entry, MessageWritten)
    ]


def reply(context: ServerContext, form: ReplyForm, words: str) -> None:
    """The citizen's turn, once for each form."""
    text = _checked(words)
    with context.database.transaction() as db:
        server_log.lock(db)
        if feedback_entries.find_used(db, form.mark) is None:
            feedback_entries.mark_used(db, form.mark, form.feedback_id, form.expires_at)
            _write(db, context, form.feedback_id, text, by=None)


def answer(
    context: ServerContext, viewer: Viewer, scope: UnitScope, feedback_id: str, words: str
) -> None:
    """The inspection team's turn. `scope` is the viewer's for SEE_FEEDBACK: outside it, and where
    no receipt was given (nobody could read it), there is nothing to be found.
    """
    text = _checked(words)
    with context.database.transaction() as db:
        feedback = db.get(FeedbackRow, feedback_id)
        if feedback is None or feedback.receipt_hash is None:
            raise NotFoundError()
        require_in(scope, feedback.unit_id)
        _write(db, context, feedback_id, text, by=viewer.user_id)


def _write(
    db: Session, context: ServerContext, feedback_id: str, words: str, *, by: str | None
) -> None:
    now = context.now()
    content = FeedbackContent(salt=make_salt(), at=now, comment=words)
    entry = MessageWritten(feedback_id=UUID(feedback_id), by=by, digest=content_digest(content))
    sealed = seal(content, context.keys.sealing_public)
    feedback_entries.append(db, feedback_id, entry, at=now, sealed=sealed)
    projector.project_server_log(db, context)


def _open(sealed: str | None, digest: str, context: ServerContext) -> str | None:
    return None if sealed is None else unseal(sealed, digest, context.keys.sealing).comment


def _checked(words: str) -> str:
    text = clean_text(words)
    if not text:
        raise InvalidError("receipt.message_empty")
    if len(text) > MAX_COMMENT_CHARACTERS:
        raise InvalidError(
            "feedback.comment_too_long", length=len(text), limit=MAX_COMMENT_CHARACTERS
        )
    return text
