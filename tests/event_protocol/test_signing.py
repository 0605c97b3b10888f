"""Signatures of devices and of the server."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from event_protocol.examples import DEVICE, DEVICE_KEY
from event_protocol.names import NO_HASH
from event_protocol.signing import checkpoint_statement, is_signed, sign

PUBLIC_KEY = DEVICE_KEY.public_key().public_bytes_raw()
STATEMENT = checkpoint_statement(DEVICE, 5, 7, NO_HASH)
SIGNATURE = sign(STATEMENT, DEVICE_KEY)


def test_what_was_signed_is_signed_whatever_the_order_of_its_fields() -> None:
    assert is_signed(STATEMENT, SIGNATURE, PUBLIC_KEY)
    assert is_signed(dict(reversed(STATEMENT.items())), SIGNATURE, PUBLIC_KEY)


def test_another_statement_or_key_is_not() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert not is_signed(checkpoint_statement(DEVICE, 5, 8, NO_HASH), SIGNATURE, PUBLIC_KEY)
    assert not is_signed(STATEMENT, SIGNATURE, other)


def test_nonsense_is_not_signed_and_raises_nothing() -> None:
    assert not is_signed(STATEMENT, "not base64!", PUBLIC_KEY)
    assert not is_signed(STATEMENT, "", PUBLIC_KEY)
    assert not is_signed(STATEMENT, "chữ ký", PUBLIC_KEY)
    assert not is_signed(STATEMENT, SIGNATURE, b"short")
    assert not is_signed({"number": 2**60}, SIGNATURE, PUBLIC_KEY)
