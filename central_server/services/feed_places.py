"""Where an open page stands in the feed of changed flags, as a word that tells nothing.

The feed's own numbers count changes of all units and of complaints: by their jumps a chief could
count what is not for a chief's eyes.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from central_server.domain.errors import InvalidError

_NUMBER_BYTES = 8  # as many for each number: a length tells nothing either


def write_place(number: int, pepper: bytes) -> str:
    """The same word for the same number, so that a page on which nothing changed stays the same."""
    key, plain = _key(pepper), number.to_bytes(_NUMBER_BYTES)
    nonce = hmac.digest(key, plain, hashlib.sha256)[: SecretBox.NONCE_SIZE]
    return urlsafe_b64encode(SecretBox(key).encrypt(plain, nonce)).decode()


def read_place(word: str, pepper: bytes) -> int:
    """The number; raises `InvalidError` if the word is not ours."""
    try:
        return int.from_bytes(SecretBox(_key(pepper)).decrypt(urlsafe_b64decode(word)))
    except (ValueError, CryptoError):
        raise InvalidError("error.cursor") from None


def _key(pepper: bytes) -> bytes:
    return hmac.digest(pepper, b"onestop.v1.feed", hashlib.sha256)
