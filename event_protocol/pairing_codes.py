"""The pairing code: a one-time secret, and by what the box knows the server's own authority.

Whoever reads the second part learns nothing; whoever stands in the line can't put an authority of
his own in its place. So the first contact trusts nobody blindly.
"""

import base64
import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET_BYTES = 10  # 80 bits; used once, within a day
_SECRET_LETTERS = 16
# 100 bits: a second key with the same ones is out of reach, also for years of trying.
_FINGERPRINT_LETTERS = 20
_GROUP = 4


@dataclass(frozen=True, slots=True)
class PairingCode:
    """What was typed; without a fingerprint the server has no authority of its own."""

    secret: str
    fingerprint: str | None


def fingerprint_of(authority: x509.Certificate) -> str:
    """The beginning of the SHA-256 of its public key, so that a renewed certificate keeps it."""
    key = authority.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b32encode(hashlib.sha256(key).digest()).decode()[:_FINGERPRINT_LETTERS]


def write_pairing_code(secret: bytes, fingerprint: str | None) -> str:
    """`ABCD-EFGH-…`: four groups from `SECRET_BYTES` random bytes, five of the fingerprint."""
    letters = base64.b32encode(secret).decode() + (fingerprint or "")
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def read_pairing_code(typed: str) -> PairingCode | None:
    """The code given with any case, blanks or dashes; `None` if a part of it is missing."""
    letters = "".join(typed.split()).replace("-", "").upper()
    secret, fingerprint = letters[:_SECRET_LETTERS], letters[_SECRET_LETTERS:]
    if fingerprint and len(fingerprint) != _FINGERPRINT_LETTERS:
        return None
    return PairingCode(secret, fingerprint or None)
