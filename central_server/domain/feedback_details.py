"""What may follow a first tap, made fit to be kept, and joined to what was said before."""

from dataclasses import dataclass, replace

from central_server.domain.errors import InvalidError
from event_protocol.feedback import (
    MAX_COMMENT_CHARACTERS,
    MAX_CONTACT_CHARACTERS,
    ComplaintReason,
    FeedbackContent,
    clean_text,
    is_complaint,
    make_salt,
)


@dataclass(frozen=True, slots=True)
class Details:
    """What may follow the first tap; each part is optional and replaces what was said before."""

    rating: int | None = None
    reasons: tuple[ComplaintReason, ...] = ()
    comment: str | None = None
    contact: str | None = None
    survey: tuple[tuple[str, int], ...] = ()
    wants_receipt: bool = False


def complete(
    before: FeedbackContent,
    details: Details,
    receipt_hash: str | None,
    *,
    keep_rating: bool = False,
) -> FeedbackContent:
    """The content with the details in place of former ones; equal to `before` if nothing is new.

    `receipt_hash` is given if `details` call for a receipt; one given before stays valid.
    """
    rating = before.rating if keep_rating or details.rating is None else details.rating
    changed = {
        "rating": rating,
        "reasons": details.reasons,
        "comment": details.comment,
        "contact": details.contact,
        "survey": dict(details.survey),
        "receipt_hash": before.receipt_hash or receipt_hash,
    }
    after = before.model_copy(update=changed)
    return after if after == before else after.model_copy(update={"salt": make_salt()})


def calls_for_receipt(details: Details) -> bool:
    """Whether the citizen complains, or asks for a receipt without complaining."""
    return details.wants_receipt or is_complaint(details.rating, details.reasons)


def changes_rating(before: FeedbackContent, details: Details) -> bool:
    """Whether another rating is given than before."""
    return details.rating is not None and details.rating != before.rating


def check(details: Details) -> Details:
    """The same, cleaned; raises `InvalidError` on the first part that can't be taken."""
    if details.rating is not None:
        require_rating(details.rating)
    comment, contact = _clean(details.comment), _clean(details.contact)
    if comment is not None and len(comment) > MAX_COMMENT_CHARACTERS:
        raise InvalidError(
            "feedback.comment_too_long", length=len(comment), limit=MAX_COMMENT_CHARACTERS
        )
    if contact is not None and len(contact) > MAX_CONTACT_CHARACTERS:
        raise InvalidError("feedback.contact_too_long", limit=MAX_CONTACT_CHARACTERS)
    reasons = tuple(sorted(set(details.reasons)))
    return replace(details, reasons=reasons, comment=comment, contact=contact)


def _clean(text: str | None) -> str | None:
    return (clean_text(text) or None) if text else None


def require_rating(rating: int) -> None:
    """Raises `InvalidError` unless it is one of the five faces."""
    if not 1 <= rating <= 5:
        raise InvalidError("feedback.rating_unknown")
