"""What the box must not read is sealed to the server's public key (X25519 sealed boxes)."""

import base64
import binascii
from collections.abc import Mapping

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from pydantic import ValidationError

from event_protocol.canonical import sha256_hex
from event_protocol.feedback import FeedbackContent, content_bytes, content_digest

KEY_ID_CHARACTERS = 16
# The length of a ciphertext is its plaintext's: unpadded, it would tell a complaint from a tap.
BLOCK_BYTES = 1024


class SealError(ValueError):
    """The sealed content can't be opened or isn't what its event's digest says."""


def sealing_key_id(public_key: bytes) -> str:
    """The short name of a sealing key, so that keys can rotate while messages are under way."""
    return sha256_hex(public_key)[:KEY_ID_CHARACTERS]


def seal_bytes(plain: bytes, public_key: bytes) -> str:
    """`key id:base64` of it, readable only with the private key of `public_key` (32 B)."""
    box = SealedBox(PublicKey(public_key)).encrypt(plain)
    return f"{sealing_key_id(public_key)}:{base64.b64encode(box).decode()}"


def open_sealed(sealed: str, private_keys: Mapping[str, bytes]) -> bytes:
    """What `seal_bytes` was given; private keys by key id; raises `SealError`."""
    key_id, _, box = sealed.partition(":")
    if key_id not in private_keys:
        raise SealError("sealed to a key that this server does not hold")
    try:
        return SealedBox(PrivateKey(private_keys[key_id])).decrypt(
            base64.b64decode(box, validate=True)
        )
    except (CryptoError, binascii.Error, ValueError) as error:
        raise SealError(f"can't be opened: {type(error).__name__}") from error


def seal(content: FeedbackContent, public_key: bytes) -> str:
    """Feedback as it travels in `sealed`, readable by the server alone."""
    plain = content_bytes(content)
    padded = plain.ljust(-(-len(plain) // BLOCK_BYTES) * BLOCK_BYTES)  # JSON ignores blanks behind
    return seal_bytes(padded, public_key)


def unseal(sealed: str, digest: str, private_keys: Mapping[str, bytes]) -> FeedbackContent:
    """The content, given private keys by key id; raises `SealError` that says what is wrong."""
    try:
        content = FeedbackContent.model_validate_json(open_sealed(sealed, private_keys))
    except ValidationError as error:
        raise SealError(f"can't be opened: {type(error).__name__}") from error
    if content_digest(content) != digest:
        raise SealError("the content is not the one that the chained digest names")
    return content
