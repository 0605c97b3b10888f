"""The signed tokens in the citizen's forms: what makes a form ours, and count once.

A form token carries a nonce that is stored only as a hash, so the receipt code derived from it is
the same for a form posted twice, yet can't be derived again from what the server keeps.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, ValidationError

from central_server.domain.errors import InvalidError
from event_protocol.events import FeedbackChannel
from event_protocol.names import floor_to_quarter
from event_protocol.receipt_codes import write_code

# A page left open over the day still counts; its mark must be kept for as long.
FORM_LIFE = timedelta(hours=24)

Notice = Literal["token_expired", "token_forged", "token_used"]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    nonce: str
    # By the quarter hour: a mark in the database must not tell when somebody sat here.
    expires_at: datetime

    @property
    def mark(self) -> str:
        """Under which it is remembered as used."""
        return "form:" + hashlib.sha256(self.nonce.encode()).hexdigest()


class RatingForm(_Form):
    """A page with five faces, made for one place; `qr` is a desk screen's code, unspent so far."""

    unit_id: str
    channel: FeedbackChannel
    desk: str | None = None  # None: the unit as a whole
    session_id: str | None = None
    qr: str | None = None
    notice: Notice | None = None  # why the scanned code binds nothing


class DetailsForm(_Form):
    """The form on the thank-you page: changes and completes one feedback."""

    feedback_id: str


class ReplyForm(_Form):
    """The citizen's side of the conversation on one receipt."""

    feedback_id: str


FormT = TypeVar("FormT", bound=_Form)


def new_nonce() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


def expiry_after(now: datetime) -> datetime:
    """When a form handed out now stops counting."""
    return floor_to_quarter(now) + FORM_LIFE


def write_form(form: _Form, pepper: bytes) -> str:
    """URL-safe signed text; anybody can read it, nobody else can make it."""
    content = form.model_dump(mode="json", exclude_none=True)
    return str(_serializer(type(form), pepper).dumps(content))


def read_form(kind: type[FormT], text: str, pepper: bytes, now: datetime) -> FormT:
    """The form; raises `InvalidError` if it is not ours or too old."""
    try:
        content: Any = _serializer(kind, pepper).loads(text)
        form = kind.model_validate(content)
    except (BadData, ValidationError) as error:
        raise InvalidError("feedback.form_forged") from error
    if now >= form.expires_at:
        raise InvalidError("feedback.form_expired")
    return form


def receipt_code(nonce: str, pepper: bytes) -> str:
    """The code of the feedback begun with that form: 120 bits that only its holder can ask for."""
    key = _derived(pepper, b"receipt")
    return write_code(hmac.digest(key, nonce.encode(), hashlib.sha256))


def _serializer(kind: type[_Form], pepper: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(
        _derived(pepper, b"forms"),
        salt=kind.__name__,
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )


def _derived(pepper: bytes, purpose: bytes) -> bytes:
    return hmac.digest(pepper, b"onestop.v1." + purpose, hashlib.sha256)
