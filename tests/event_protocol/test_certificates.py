"""A request for a certificate proves that its sender holds the key."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from event_protocol.certificates import (
    make_certificate_request,
    make_key,
    requested_key,
    write_key,
)


def other_request(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    algorithm = hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


def test_a_request_names_the_key_that_signed_it() -> None:
    key = make_key()
    assert requested_key(make_certificate_request(key, "box-1")) == key.public_key()


def test_a_written_key_is_the_key() -> None:
    key = make_key()
    read = load_pem_private_key(write_key(key).encode(), None)
    assert isinstance(read, ec.EllipticCurvePrivateKey)
    assert read.public_key() == key.public_key()


def test_a_forged_request_is_none() -> None:
    lines = make_certificate_request(make_key(), "box-1").splitlines()
    content = bytearray(base64.b64decode("".join(lines[1:-1])))
    content[-1] ^= 1
    forged = [lines[0], base64.b64encode(content).decode(), lines[-1]]
    assert requested_key("\n".join(forged)) is None


@pytest.mark.parametrize(
    "request_",
    [
        "",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        other_request(ec.generate_private_key(ec.SECP384R1())),
        other_request(ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_what_we_do_not_sign_is_none(request_: str) -> None:
    assert requested_key(request_) is None
