"""Canonical JSON (RFC 8785) and the hash that chains events."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson
import rfc8785

_QUICK = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
# orjson with sorted keys writes RFC 8785 but for these: keys beyond ASCII (which RFC 8785 sorts as
# UTF-16), 1.0 (which is 1), exponents (whose ECMAScript form differs), and NaN, which it makes
# null. A match may also lie inside a text; that costs time, never truth.
_WHOLE_FLOAT = re.compile(rb"\.0[,}\]]")
_EXPONENT = re.compile(
    rb"e[+-]?[0-9]+[,}\]]"
)  # apart from the above: each begins with a fixed byte


class NotCanonicalError(ValueError):
    """The value has no canonical form: an integer beyond 2**53, NaN, or nested too deep."""


def canonical_bytes(value: Mapping[str, Any]) -> bytes:
    """RFC 8785 bytes of a JSON object; raises `NotCanonicalError`.

    Nearly every event takes the quick way (4 µs); what could differ there goes to the reference
    encoder (50 µs).
    """
    quick = _quick_form(value)
    if quick is not None:
        return quick
    try:
        return rfc8785.dumps(dict(value))
    except (rfc8785.CanonicalizationError, RecursionError, ValueError) as error:
        raise NotCanonicalError(str(error)) from error


def _quick_form(value: Mapping[str, Any]) -> bytes | None:
    """What orjson writes, or `None` if that might not be canonical."""
    try:
        written = orjson.dumps(value, option=_QUICK)
    except orjson.JSONEncodeError:
        return None  # nested deeper, or a larger integer, than orjson writes
    if (
        not written.isascii()
        or b"null" in written
        or _WHOLE_FLOAT.search(written)
        or _EXPONENT.search(written)
    ):
        return None
    return written


def sha256_hex(content: bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def chained_hash(canonical: bytes, parsed: Mapping[str, Any]) -> str:
    """The hash an event's successor carries: over the canonical bytes without `sealed`."""
    if "sealed" not in parsed:
        return sha256_hex(canonical)
    return sha256_hex(canonical_bytes({k: v for k, v in parsed.items() if k != "sealed"}))
