"""The code on a complaint's receipt: how it is written, and the slow hash that is all we keep.

Kiosks make codes without a network, so both programs share this.
"""

import base64
import hashlib

_CODE_BYTES = 15  # 120 bits: the contract asks for 80, and 24 letters make six groups of four
_CODE_CHARACTERS = 24
_GROUP = 4
# What base32 has no letter for, read as the letter it was taken for.
_MISREAD = str.maketrans({"0": "O", "1": "I", "8": "B", "9": "G"})
_HINT_DIGITS = 6
_SALT = b"onestop.receipt.v1"
# 16 MiB and about 50 ms for each guess.
_SCRYPT_COST = 2**14


def write_code(secret: bytes) -> str:
    """`secret` (at least 15 bytes, uniformly random) as `ABCD-…`, six groups of four."""
    if len(secret) < _CODE_BYTES:
        raise ValueError("a receipt code needs 15 random bytes")
    letters = base64.b32encode(secret[:_CODE_BYTES]).decode()
    return "-".join(letters[at : at + _GROUP] for at in range(0, _CODE_CHARACTERS, _GROUP))


def read_code(typed: str) -> str | None:
    """The code as `write_code` wrote it, given with any case, blanks or dashes; else `None`."""
    letters = "".join(typed.split()).replace("-", "").upper().translate(_MISREAD)
    if len(letters) != _CODE_CHARACTERS:
        return None
    try:
        return write_code(base64.b32decode(letters))
    except ValueError:
        return None


def hint_of(code: str) -> str:
    """The first 24 bits of a quick hash, which open what `hash_code` gives.

    Whoever guesses is turned away by them without the slow hash; 96 bits are left to be guessed.
    """
    return hashlib.sha256(_SALT + code.encode()).hexdigest()[:_HINT_DIGITS]


def hash_code(code: str, pepper: bytes = b"") -> str:
    """Hint and scrypt (RFC 7914) in hexadecimal; the same for the same code: it can be looked up.

    Kiosks hold no pepper and hash without one; 120 random bits need none.
    """
    digest = hashlib.scrypt(
        code.encode(), salt=_SALT + pepper, n=_SCRYPT_COST, r=8, p=1, maxmem=2**26, dklen=32
    )
    return hint_of(code) + digest.hex()
