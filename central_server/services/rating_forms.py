"""The citizen's forms as signed tokens.

A form token carries a nonce that is stored only as a hash, so the receipt code derived from it is
the same for a form posted twice, yet can't be derived again from what the server keeps. It expires
by the quarter hour: a mark in the database must not tell when somebody sat here.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Literal

from central_server.services.signed_forms import SignedForm, derived_key
from event_protocol.events import FeedbackChannel
from event_protocol.names import floor_to_quarter
from event_protocol.receipt_codes import write_code

# A page left open over the day still counts; its mark must be kept for as long.
FORM_LIFE = timedelta(hours=24)

Notice = Literal["token_expired", "token_forged", "token_used"]


class RatingForm(SignedForm):
    """A page with five faces, made for one place; `qr` is a desk screen's code, unspent so far."""

    unit_id: str
    channel: FeedbackChannel
    desk: str | None = None  # None: the unit as a whole
    session_id: str | None = None
    qr: str | None = None
    notice: Notice | None = None  # why the scanned code binds nothing


class DetailsForm(SignedForm):
    """The form on the thank-you page: changes and completes one feedback."""

    feedback_id: str


class ReplyForm(SignedForm):
    """The citizen's side of the conversation on one receipt."""

    feedback_id: str


def expiry_after(now: datetime) -> datetime:
    """When a form handed out now stops counting."""
    return floor_to_quarter(now) + FORM_LIFE


def receipt_code(nonce: str, pepper: bytes) -> str:
    """The code of the feedback begun with that form: 120 bits that only its holder can ask for."""
    key = derived_key(pepper, b"receipt")
    return write_code(hmac.digest(key, nonce.encode(), hashlib.sha256))
