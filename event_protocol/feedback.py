"""What a citizen says: the content that is sealed before it touches any disk."""

import secrets
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from event_protocol.canonical import canonical_bytes, sha256_hex
from event_protocol.events import WireModel
from event_protocol.names import UtcTime

MAX_COMMENT_CHARACTERS = 4000
MAX_CONTACT_CHARACTERS = 200
AMENDABLE_FOR_S = 120  # the first tap counts and can be changed for two minutes
_LOWEST_CONTENT_RATING = 3


class ComplaintReason(StrEnum):
    """Why somebody is dissatisfied; the chips under the five faces."""

    ATTITUDE = "attitude"
    WAITED_TOO_LONG = "waited_too_long"
    ASKED_TO_COME_BACK = "asked_to_come_back"
    WRONG_GUIDANCE = "wrong_guidance"
    REFUSED = "refused"  # not served, or the service was broken off
    ASKED_FOR_MONEY = "asked_for_money"  # extortion
    HARASSMENT = "harassment"
    VIOLENCE = "violence"
    OTHER = "other"


# The 22 items of the satisfaction survey, factor and item: "3.1" is the first on staff.
SurveyItem = Annotated[str, StringConstraints(pattern=r"^[1-5]\.[1-6]$")]
SurveyAnswer = Annotated[int, Field(ge=1, le=5)]


class FeedbackContent(WireModel):
    """One citizen's words. `rating`: 1 very dissatisfied … 5 very satisfied; `at`: the exact time,
    needed to find the session and erased with the link; `salt` keeps the digest from being guessed.
    """

    salt: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    at: UtcTime
    rating: int | None = Field(default=None, ge=1, le=5)
    reasons: tuple[ComplaintReason, ...] = ()
    comment: Annotated[str, StringConstraints(max_length=MAX_COMMENT_CHARACTERS)] | None = None
    contact: Annotated[str, StringConstraints(max_length=MAX_CONTACT_CHARACTERS)] | None = None
    survey: dict[SurveyItem, SurveyAnswer] = Field(default_factory=dict)
    session_id: UUID | None = None
    receipt_hash: str | None = Field(default=None, max_length=128)


def is_complaint(rating: int | None, reasons: Sequence[ComplaintReason]) -> bool:
    """Any reason given, or one of the two lowest ratings."""
    return bool(reasons) or (rating is not None and rating < _LOWEST_CONTENT_RATING)


def clean_text(text: str) -> str:
    """Composed letters, Unix line ends, no control characters (PostgreSQL refuses U+0000)."""
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    kept = (c for c in composed if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept).strip()


def make_salt() -> str:
    """128 random bits, so that five possible ratings can't be tried against a digest."""
    return secrets.token_hex(16)


def content_bytes(content: FeedbackContent) -> bytes:
    """Canonical plaintext, as sealed and as digested."""
    return canonical_bytes(content.model_dump(mode="json", exclude_none=True))


def content_digest(content: FeedbackContent) -> str:
    """The salted digest that the chained event carries in place of the content."""
    return sha256_hex(content_bytes(content))
