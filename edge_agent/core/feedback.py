"""What a citizen said at the desk, as the content to be sealed. Pure; nothing here touches a disk.

A tap on the kiosk and a card shown to the camera are complete answers; an amendment repeats the
whole content, so that the newest one stands alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from edge_agent.core.statements import Statement
from event_protocol.events import FeedbackAmended, FeedbackChannel, FeedbackSubmitted
from event_protocol.feedback import (
    AMENDABLE_FOR_S,
    MAX_COMMENT_CHARACTERS,
    MAX_CONTACT_CHARACTERS,
    ComplaintReason,
    FeedbackContent,
    clean_text,
    content_digest,
    is_complaint,
    make_salt,
)
from event_protocol.names import DeskId
from event_protocol.receipt_codes import hash_code, write_code
from event_protocol.sealing import seal

AMENDABLE_FOR = timedelta(seconds=AMENDABLE_FOR_S)


@dataclass(frozen=True, slots=True)
class GivenFeedback:
    """One feedback as long as it can still be amended; lives in memory only.

    `receipt_code` lets whoever complains follow up. It is random: made of anything that the box
    keeps, it would open the conversation to whoever holds the box.
    """

    event_id: UUID
    desk: DeskId
    content: FeedbackContent
    receipt_code: str | None = None

    def may_amend(self, at: datetime) -> bool:
        """Whether the two minutes after the first tap still run."""
        return at - self.content.at <= AMENDABLE_FOR

    def with_receipt(self, secret: bytes) -> "GivenFeedback":
        """With a code made of 15 random bytes if this is a complaint and has none yet; 50 ms."""
        content = self.content
        if self.receipt_code is not None or not is_complaint(content.rating, content.reasons):
            return self
        code = write_code(secret)
        hashed = content.model_copy(update={"receipt_hash": hash_code(code)})
        return replace(self, content=hashed, receipt_code=code)

    def amended(self, words: "Words") -> "GivenFeedback":
        """The whole content after an amendment; time, session and receipt stay the first tap's."""
        changed = {
            "salt": make_salt(),
            "rating": words.rating or self.content.rating,
            "reasons": words.reasons,
            "comment": words.comment,
            "contact": words.contact,
        }
        return replace(self, content=self.content.model_copy(update=changed))


@dataclass(frozen=True, slots=True)
class Words:
    """What may be added to a rating, as it came from a form: too long is cut, never refused."""

    rating: int | None = None
    reasons: tuple[ComplaintReason, ...] = ()
    comment: str | None = None
    contact: str | None = None


def read_words(rating: str, reasons: Iterable[str], comment: str, contact: str) -> Words:
    """A form's fields; an unknown rating or reason is left out, words are cut to what fits."""
    known = {str(reason) for reason in ComplaintReason}
    return Words(
        rating=int(rating) if rating in {"1", "2", "3", "4", "5"} else None,
        reasons=tuple(ComplaintReason(r) for r in dict.fromkeys(reasons) if r in known),
        comment=clean_text(comment)[:MAX_COMMENT_CHARACTERS] or None,
        contact=clean_text(contact)[:MAX_CONTACT_CHARACTERS] or None,
    )


def rate(rating: int, at: datetime, session_id: UUID | None) -> FeedbackContent:
    """The content of one tap or one card: `rating` 1 (very dissatisfied) to 5."""
    return FeedbackContent(salt=make_salt(), at=at, rating=rating, session_id=session_id)


def submit_statement(
    desk: DeskId, channel: FeedbackChannel, content: FeedbackContent, sealing_key: bytes
) -> Statement:
    """The first event: readable are desk, channel and a salted digest."""
    data = FeedbackSubmitted(channel=channel, digest=content_digest(content))
    return Statement(desk, content.at, data, sealed=seal(content, sealing_key))


def amend_statement(
    desk: DeskId,
    channel: FeedbackChannel,
    content: FeedbackContent,
    amends: UUID,
    sealing_key: bytes,
) -> Statement:
    """A later event with the full new content of the feedback whose first event is `amends`."""
    data = FeedbackAmended(channel=channel, digest=content_digest(content), amends=amends)
    return Statement(desk, content.at, data, sealed=seal(content, sealing_key))
