"""The desk screen's rotating QR: a short text that binds a phone's rating to a visit.

Signed with the desk's token key, which the device and the server share, so that the agent can
make one with no network. It names the session, never a person.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from event_protocol.names import DeskId

_FORM = struct.Struct(">BIQ16s")  # version, expiry (Unix s), nonce, session id (zero: none)
_VERSION = 1
_MAC_BYTES = 16
_NO_SESSION = UUID(int=0)


class TokenError(ValueError):
    """`code` is `forged` or `expired`; both are message keys."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class RatingToken:
    """What a scanned code says; `nonce` makes each one usable once."""

    desk: DeskId
    session_id: UUID | None
    expires_at: datetime
    nonce: int


def make_token(token: RatingToken, key: bytes) -> str:
    """URL-safe text of 60 characters."""
    body = _FORM.pack(
        _VERSION,
        int(token.expires_at.timestamp()),
        token.nonce,
        (token.session_id or _NO_SESSION).bytes,
    )
    return base64.urlsafe_b64encode(body + _mac(token.desk, body, key)).decode().rstrip("=")


def read_token(desk: DeskId, text: str, key: bytes, now: datetime) -> RatingToken:
    """The token if it was made for that desk and still holds; raises `TokenError`."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise TokenError("forged") from error
    body, mac = raw[: _FORM.size], raw[_FORM.size :]
    if len(body) != _FORM.size or not hmac.compare_digest(mac, _mac(desk, body, key)):
        raise TokenError("forged")
    version, expiry, nonce, session = _FORM.unpack(body)
    if version != _VERSION:
        raise TokenError("forged")
    expires_at = datetime.fromtimestamp(expiry, UTC)
    if now > expires_at:
        raise TokenError("expired")
    session_id = UUID(bytes=session)
    return RatingToken(desk, None if session_id == _NO_SESSION else session_id, expires_at, nonce)


def _mac(desk: DeskId, body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, desk.encode() + b"\0" + body, hashlib.sha256)[:_MAC_BYTES]
