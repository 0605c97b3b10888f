"""The server's own certificate authority: it signs for devices, brokers and the server itself.

One file beside the server's other keys holds it: the private key, the certificate that signs now,
and former ones that are still trusted. Without the file nothing here is used.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from central_server.domain.errors import InvalidError
from central_server.storage.private_files import write_private
from event_protocol.certificates import make_key, requested_key, write_key
from event_protocol.names import DeviceId
from event_protocol.pairing_codes import fingerprint_of

AUTHORITY_FILE = "authority.pem"
REFUSED = "error.certificate_request"

_AUTHORITY_LIFE = timedelta(days=20 * 365)  # longer than any box; its key can be replaced before
_DEVICE_LIFE = timedelta(days=365)  # renewed by the box itself; a lost one is revoked at once
_HOST_LIFE = timedelta(days=825)  # renewed by hand: `central-server certify`
_CLOCKS_DIFFER = timedelta(days=1)  # valid from so long ago: a box's clock may run late


@dataclass(frozen=True, slots=True)
class Credentials:
    """A private key and the certificate chain that goes with it, both PEM."""

    key: str
    chain: str


@dataclass(frozen=True, slots=True)
class _Role:
    """What a certificate may be used for, and the names by which its holder is known."""

    usage: x509.ObjectIdentifier
    known_by: Sequence[x509.GeneralName]


@dataclass(frozen=True, slots=True)
class Authority:
    """`trusted` (PEM) is what others are given: the certificate that signs, then former ones."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    trusted: str

    @property
    def fingerprint(self) -> str:
        """By what pairing codes name it."""
        return fingerprint_of(self.certificate)

    def sign_device(self, device: DeviceId, request: str, at: datetime) -> x509.Certificate:
        """A client certificate in that device's name, whatever name it asked for.

        `InvalidError` if the request does not prove to hold a key that we take.
        """
        key = requested_key(request)
        if key is None:
            raise InvalidError(REFUSED)
        return self._sign(device, key, at, _DEVICE_LIFE, _client(device))

    def make_client(self, name: str, at: datetime) -> Credentials:
        """For the server's own connection to the broker."""
        key = make_key()
        signed = self._sign(name, key.public_key(), at, _HOST_LIFE, _client(name))
        return _credentials(key, signed)

    def make_host(self, names: Sequence[str], at: datetime) -> Credentials:
        """For a broker or a web server that is reached by those names and IP addresses."""
        key = make_key()
        known_by = [_host_name(name) for name in names]
        role = _Role(ExtendedKeyUsageOID.SERVER_AUTH, known_by)
        return _credentials(key, self._sign(names[0], key.public_key(), at, _HOST_LIFE, role))

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        at: datetime,
        life: timedelta,
        role: _Role,
    ) -> x509.Certificate:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            _begin(name, key, at, life)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([role.usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(role.known_by), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self.key, hashes.SHA256())
        )


def find_authority(directory: Path) -> Authority | None:
    """The authority kept in the server's directory, if there is one."""
    try:
        pem = (directory / AUTHORITY_FILE).read_bytes()
    except FileNotFoundError:
        return None
    key = load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{directory / AUTHORITY_FILE} holds another kind of key")
    certificates = x509.load_pem_x509_certificates(pem)
    return Authority(key, certificates[0], "".join(write_certificate(one) for one in certificates))


def make_authority(directory: Path, at: datetime) -> Authority:
    """A new authority, which signs from now on; a former one stays trusted."""
    former = find_authority(directory)
    key = make_key()
    # The time tells two of them apart, for people and for those who build chains by name.
    name = f"onestop authority {at:%Y-%m-%d %H:%M:%S}"
    certificate = (
        _begin(name, key.public_key(), at, _AUTHORITY_LIFE)
        .issuer_name(_subject(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    trusted = write_certificate(certificate) + (former.trusted if former else "")
    write_private(directory / AUTHORITY_FILE, (write_key(key) + trusted).encode())
    return Authority(key, certificate, trusted)


def write_certificate(certificate: x509.Certificate) -> str:
    """As PEM."""
    return certificate.public_bytes(Encoding.PEM).decode()


def _begin(
    name: str, key: ec.EllipticCurvePublicKey, at: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _CLOCKS_DIFFER)
        .not_valid_after(at + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    # X.520 ends a common name at 64 letters; hosts are known by their alternative names.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _client(name: str) -> _Role:
    """One that connects; it is reached by no name, so it is named as no host could be."""
    known_by = [x509.UniformResourceIdentifier(f"urn:onestop:{name}")]
    return _Role(ExtendedKeyUsageOID.CLIENT_AUTH, known_by)


def _host_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _credentials(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Credentials:
    return Credentials(write_key(key), write_certificate(certificate))
