"""Signed tokens in forms and short-lived cookies: what makes them ours, and count once.

Anybody can read one, nobody else can make one; nothing is kept for those that are never sent.
"""

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Any, TypeVar

from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, ValidationError

from central_server.domain.errors import InvalidError


class SignedForm(BaseModel):
    """Base of what such a token says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nonce: str
    expires_at: datetime

    @property
    def mark(self) -> str:
        """Under which it is remembered as used."""
        return "form:" + hashlib.sha256(self.nonce.encode()).hexdigest()


FormT = TypeVar("FormT", bound=SignedForm)


def new_nonce() -> str:
    """128 random bits."""
    return secrets.token_hex(16)


def write_form(form: SignedForm, pepper: bytes) -> str:
    """URL-safe signed text."""
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


def derived_key(pepper: bytes, purpose: bytes) -> bytes:
    """32 bytes for one purpose alone."""
    return hmac.digest(pepper, b"onestop.v1." + purpose, hashlib.sha256)


def _serializer(kind: type[SignedForm], pepper: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(
        derived_key(pepper, b"forms"),
        salt=kind.__name__,
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )
