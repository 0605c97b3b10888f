"""What citizens say by phone, from home or through an operator, into the server's own log.

Sealed to our own key before it is stored; logged and projected in one transaction, so that a
complaint is a flag as soon as the citizen reads "saved", and nothing is ever half written.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlmodel import Session

from central_server.domain import feedback_details
from central_server.domain.errors import InvalidError
from central_server.domain.feedback import fold_versions
from central_server.domain.feedback_details import Details
from central_server.domain.permissions import Viewer
from central_server.domain.server_log import FeedbackCompleted, FeedbackReceived
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.services.rating_forms import (
    DetailsForm,
    Notice,
    RatingForm,
    expiry_after,
    receipt_code,
)
from central_server.services.signed_forms import new_nonce
from central_server.storage import feedback_entries, server_log
from central_server.storage.places import Place
from event_protocol.events import FeedbackChannel
from event_protocol.feedback import (
    AMENDABLE_FOR_S,
    FeedbackContent,
    content_digest,
    make_salt,
)
from event_protocol.names import DeskId, to_milliseconds
from event_protocol.receipt_codes import hash_code
from event_protocol.sealing import seal, unseal
from event_protocol.tokens import TokenError, read_token

AMENDABLE_FOR = timedelta(seconds=AMENDABLE_FOR_S)
# Long enough for 22 questions on a cheap phone, too short for who finds the phone later.
COMPLETABLE_FOR = timedelta(hours=1)
# A QR code scanned late in a form's last quarter: its mark outlives every form made from it.
_QR_MARK_SLACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Saved:
    """One feedback as it now stands in the log."""

    feedback_id: str
    content: FeedbackContent
    code: str | None  # the receipt's, for a complaint or if asked for
    token_reused: bool = False  # the scanned code had counted already: bound to no visit by it
    rating_kept: bool = False  # a change of the rating came too late


def offer(
    context: ServerContext, place: Place, channel: FeedbackChannel, scanned: str | None = None
) -> RatingForm:
    """A form for one rating of that place. A scanned code that no longer holds is said so in the
    form's notice and binds nothing; the rating is taken all the same.
    """
    now = context.now()
    form = RatingForm(
        nonce=new_nonce(),
        expires_at=expiry_after(now),
        unit_id=place.unit_id,
        desk=place.desk,
        channel=channel,
    )
    if scanned is None or place.desk is None:
        return form
    try:
        token = read_token(DeskId(place.desk), scanned, place.token_key, now)
    except TokenError as error:
        notice: Notice = "token_expired" if error.code == "expired" else "token_forged"
        return form.model_copy(update={"notice": notice})
    mark = f"qr:{place.desk}:{token.nonce:x}"
    with context.database.reading() as db:
        if feedback_entries.find_used(db, mark) is not None:
            return form.model_copy(update={"notice": "token_used"})
    session_id = None if token.session_id is None else str(token.session_id)
    return form.model_copy(update={"qr": mark, "session_id": session_id})


def submit(context: ServerContext, form: RatingForm, rating: int) -> Saved:
    """Counts the first tap, once for each form; a form posted again answers with what counted."""
    feedback_details.require_rating(rating)
    now = context.now()
    code = receipt_code(form.nonce, context.keys.pepper)
    receipt_hash = _hash_if_needed(context, code, Details(rating=rating))
    with context.database.transaction() as db:
        server_log.lock(db)
        known = feedback_entries.find_used(db, form.mark)
        if known is not None:
            return _saved(known, content_of(db, context, known), code)
        feedback_id = str(uuid4())
        reused = not _spend_qr(db, form)
        content = FeedbackContent(
            salt=make_salt(),
            at=now,
            rating=rating,
            session_id=None if reused or form.session_id is None else UUID(form.session_id),
            receipt_hash=receipt_hash,
        )
        feedback_entries.mark_used(db, form.mark, feedback_id, form.expires_at)
        _receive(db, context, feedback_id, form, content)
        feedback_entries.drop_expired(db, now)
    return _saved(feedback_id, content, code, token_reused=reused)


def complete(context: ServerContext, form: DetailsForm, details: Details) -> Saved:
    """Changes the rating (two minutes) and adds the rest (an hour); the same again adds nothing.

    Raises `InvalidError` if a part can't be taken; what was saved before stays saved.
    """
    details = feedback_details.check(details)
    now = context.now()
    code = receipt_code(form.nonce, context.keys.pepper)
    receipt_hash = _hash_if_needed(context, code, details)
    with context.database.transaction() as db:
        server_log.lock(db)
        before = content_of(db, context, form.feedback_id)
        if now > before.at + COMPLETABLE_FOR:
            raise InvalidError("feedback.closed")
        rating_kept = (
            feedback_details.changes_rating(before, details) and now > before.at + AMENDABLE_FOR
        )
        after = feedback_details.complete(before, details, receipt_hash, keep_rating=rating_kept)
        if after != before:
            version = after.model_copy(update={"at": to_milliseconds(now)})
            _complete(db, context, form.feedback_id, version)
    return _saved(form.feedback_id, after, code, rating_kept=rating_kept)


def enter(
    context: ServerContext, viewer: Viewer, form: RatingForm, told_at: datetime, details: Details
) -> Saved:
    """What an operator heard on the hotline or found in the suggestion box, whole at once.

    The caller has checked that the viewer may do so for that unit. Once for each form.
    """
    details = feedback_details.check(details)
    if details.rating is None and not details.reasons and not details.comment:
        raise InvalidError("hotline.nothing_told")
    now = context.now()
    if told_at > now:
        raise InvalidError("hotline.told_in_future")
    code = receipt_code(form.nonce, context.keys.pepper)
    receipt_hash = _hash_if_needed(context, code, details)
    with context.database.transaction() as db:
        server_log.lock(db)
        known = feedback_entries.find_used(db, form.mark)
        if known is not None:
            return _saved(known, content_of(db, context, known), code)
        feedback_id = str(uuid4())
        told = FeedbackContent(salt=make_salt(), at=told_at)
        content = feedback_details.complete(told, details, receipt_hash)
        feedback_entries.mark_used(db, form.mark, feedback_id, form.expires_at)
        _receive(db, context, feedback_id, form, content, entered_by=viewer.user_id)
    return _saved(feedback_id, content, code)


def content_of(db: Session, context: ServerContext, feedback_id: str) -> FeedbackContent:
    """What was said in the end, at the first tap's time; raises `InvalidError` if retention has
    erased it.
    """
    versions = [
        unseal(logged.sealed, logged.entry.digest, context.keys.sealing)
        for logged in feedback_entries.list_entries(db, feedback_id)
        if isinstance(logged.entry, FeedbackReceived | FeedbackCompleted) and logged.sealed
    ]
    if not versions:
        raise InvalidError("feedback.closed")
    return fold_versions(versions).content


def _receive(
    db: Session,
    context: ServerContext,
    feedback_id: str,
    form: RatingForm,
    content: FeedbackContent,
    entered_by: str | None = None,
) -> None:
    entry = FeedbackReceived(
        feedback_id=UUID(feedback_id),
        channel=form.channel,
        desk=form.desk,
        unit_id=form.unit_id,
        digest=content_digest(content),
        entered_by=entered_by,
    )
    sealed = seal(content, context.keys.sealing_public)
    feedback_entries.append(db, feedback_id, entry, at=context.now(), sealed=sealed)
    projector.project_server_log(db, context)


def _complete(
    db: Session, context: ServerContext, feedback_id: str, content: FeedbackContent
) -> None:
    entry = FeedbackCompleted(feedback_id=UUID(feedback_id), digest=content_digest(content))
    sealed = seal(content, context.keys.sealing_public)
    feedback_entries.append(db, feedback_id, entry, at=context.now(), sealed=sealed)
    projector.project_server_log(db, context)


def _hash_if_needed(context: ServerContext, code: str, details: Details) -> str | None:
    """Slow (50 ms), so never within a transaction, and not for the many who are satisfied."""
    needed = feedback_details.calls_for_receipt(details)
    return hash_code(code, context.keys.pepper) if needed else None


def _spend_qr(db: Session, form: RatingForm) -> bool:
    """Whether the scanned code, if any, counts now for the first time."""
    if form.qr is None:
        return True
    if feedback_entries.find_used(db, form.qr) is not None:
        return False
    # Not filed under the feedback: the code knows the visit, and the mark is not sealed.
    feedback_entries.mark_used(db, form.qr, "", form.expires_at + _QR_MARK_SLACK)
    return True


def _saved(
    feedback_id: str,
    content: FeedbackContent,
    code: str,
    *,
    token_reused: bool = False,
    rating_kept: bool = False,
) -> Saved:
    shown = None if content.receipt_hash is None else code
    return Saved(feedback_id, content, shown, token_reused, rating_kept)
