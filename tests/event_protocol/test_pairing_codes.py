"""A pairing code carries the secret and by what the server's authority is known."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from event_protocol.certificates import make_key
from event_protocol.pairing_codes import (
    PairingCode,
    fingerprint_of,
    read_pairing_code,
    write_pairing_code,
)

START = datetime(2026, 3, 2, tzinfo=UTC)


def make_certificate(key: ec.EllipticCurvePrivateKey, begin: datetime) -> x509.Certificate:
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


@given(st.binary(min_size=10, max_size=10), st.booleans())
def test_a_written_code_is_read_back(secret: bytes, has_fingerprint: bool) -> None:
    fingerprint = "ABCDEFGHIJKLMNOPQRST" if has_fingerprint else None
    code = write_pairing_code(secret, fingerprint)
    read = read_pairing_code(f" {code.lower().replace('-', ' ')}\n")
    assert read == PairingCode(write_pairing_code(secret, None).replace("-", ""), fingerprint)


@pytest.mark.parametrize("missing", [1, 4, 19])
def test_a_code_typed_in_part_is_none(missing: int) -> None:
    code = write_pairing_code(bytes(10), "A" * 20).replace("-", "")
    assert read_pairing_code(code[:-missing]) is None


def test_the_fingerprint_is_of_the_key() -> None:
    key = make_key()
    fingerprint = fingerprint_of(make_certificate(key, START))
    assert len(fingerprint) == 20
    assert fingerprint_of(make_certificate(key, START + timedelta(days=9))) == fingerprint
    assert fingerprint_of(make_certificate(make_key(), START)) != fingerprint
