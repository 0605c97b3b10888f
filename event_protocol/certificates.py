"""A device asks for a TLS certificate: its request, and what answers. The key stays in the box."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import Field

from event_protocol.events import WireModel

CERTIFICATES_PATH = "/api/v1/certificates"
AUTHORITY_PATH = "/api/v1/authority"
MAX_REQUEST_LETTERS = 4096
MAX_PEM_LETTERS = 65_536


class CertificateRequest(WireModel):
    """For a new certificate in the stead of one that ends; the HTTP request is signed."""

    certificate_request: str = Field(max_length=MAX_REQUEST_LETTERS)


class Authority(WireModel):
    """Who signs for this server: PEM, the one that signs now first, then former ones."""

    authority: str = Field(max_length=MAX_PEM_LETTERS)


class IssuedCertificate(Authority):
    """The device's new certificate (PEM), and whom it shall trust from now on."""

    certificate: str = Field(max_length=MAX_PEM_LETTERS)


def make_key() -> ec.EllipticCurvePrivateKey:
    """A key for TLS. P-256: every broker takes it, which can't be said of Ed25519."""
    return ec.generate_private_key(ec.SECP256R1())


def write_key(key: ec.EllipticCurvePrivateKey) -> str:
    """The private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def make_certificate_request(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    """A request (PKCS #10, PEM) that proves to hold `key`; the server decides on the name."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def requested_key(request: str) -> ec.EllipticCurvePublicKey | None:
    """The key that the request proves to hold; `None` if it is malformed, forged, not P-256."""
    try:
        read = x509.load_pem_x509_csr(request.encode())
        key = read.public_key()
        proven = read.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        return None
    return key if proven else None
