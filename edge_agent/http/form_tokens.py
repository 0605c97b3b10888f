"""One-time form tokens: the id of the feedback that the form would make, signed for its desk.

The id is the protection: a form posted twice names the same feedback twice, also after a restart,
and the outbox stores an id once.
"""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID, uuid4

from event_protocol.names import DeskId

_MAC_BYTES = 16


def make_form_token(desk: DeskId, key: bytes) -> str:
    """A token that nobody has seen before."""
    return sign_id(desk, uuid4(), key)


def sign_id(desk: DeskId, event_id: UUID, key: bytes) -> str:
    """The token that names this feedback."""
    return base64.urlsafe_b64encode(event_id.bytes + _mac(desk, event_id, key)).decode().rstrip("=")


def read_form_token(desk: DeskId, token: str, key: bytes) -> UUID | None:
    """The id, or `None` if the token was not made here for that desk."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != 16 + _MAC_BYTES:
        return None
    event_id = UUID(bytes=raw[:16])
    return event_id if hmac.compare_digest(raw[16:], _mac(desk, event_id, key)) else None


def _mac(desk: DeskId, event_id: UUID, key: bytes) -> bytes:
    message = b"onestop kiosk form\0" + desk.encode() + b"\0" + event_id.bytes
    return hmac.digest(key, message, hashlib.sha256)[:_MAC_BYTES]
