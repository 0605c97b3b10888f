"""Who this box is: its own keys, and what the server told it at pairing."""

import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from edge_agent.delivery.files import OWNER_ONLY, flush_folder, write_whole
from edge_agent.delivery.tls import find_authority, make_trust
from event_protocol.certificates import (
    AUTHORITY_PATH,
    Authority,
    IssuedCertificate,
    make_certificate_request,
    make_key,
    write_key,
)
from event_protocol.enrolment import ENROLMENT_PATH, Enrolment, EnrolmentRequest, is_loopback
from event_protocol.messages import DeviceConfiguration
from event_protocol.names import DeviceId
from event_protocol.pairing_codes import read_pairing_code
from event_protocol.signing import checkpoint_statement, sign

KEY_FILE = "device.key"
ENROLMENT_FILE = "enrolment.json"
TLS_FILE = "tls.pem"  # private key and certificate in one, so that both are replaced at once
KEY_BYTES = 32
TIMEOUT_S = 20


class IdentityError(Exception):
    """The box can't be paired, or what it stored at pairing can't be used; says why and what helps.

    `code` is a message key of the set-up pages.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StoredEnrolment(Enrolment):
    """What pairing brought, and from where: there certificates are renewed."""

    server_url: str | None = None


class Identity:
    """The key (made at first need, readable by the owner only) and the stored enrolment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.key = _load_or_make_key(folder / KEY_FILE)

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that the server knows this box by."""
        return self.key.public_key().public_bytes_raw()

    @property
    def tls_file(self) -> Path:
        """Where the private key and certificate for TLS are, once the server's authority signed."""
        return self._folder / TLS_FILE

    def find_certificate(self) -> x509.Certificate | None:
        """The certificate for TLS, if there is one. Raises `IdentityError` if it can't be read."""
        try:
            return x509.load_pem_x509_certificate(self.tls_file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise IdentityError(
                "enrolment_broken", f"{self.tls_file} can't be read ({error}); pair the box again"
            ) from error

    def find_enrolment(self) -> StoredEnrolment | None:
        """What pairing brought; `None` before it. Raises `IdentityError` if it can't be read."""
        path = self._folder / ENROLMENT_FILE
        try:
            return StoredEnrolment.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise IdentityError(
                "enrolment_broken", f"{path} can't be read ({error}); pair the box again"
            ) from error

    def store_enrolment(self, enrolment: Enrolment) -> None:
        """Replace what was stored; raises `OSError`."""
        write_whole(self._folder / ENROLMENT_FILE, enrolment.model_dump_json().encode())

    def store_certificate(self, key: EllipticCurvePrivateKey, issued: IssuedCertificate) -> None:
        """Put a renewed certificate in the old one's place; raises `OSError`, `IdentityError`."""
        write_whole(self.tls_file, (write_key(key) + issued.certificate).encode())
        enrolment = self.find_enrolment()
        if enrolment is None or enrolment.authority == issued.authority:
            return
        broker = enrolment.broker
        if broker.authority == enrolment.authority:
            broker = broker.model_copy(update={"authority": issued.authority})
        changed = {"authority": issued.authority, "broker": broker}
        self.store_enrolment(enrolment.model_copy(update=changed))

    def store_configuration(self, configuration: DeviceConfiguration) -> Enrolment:
        """Put a configuration that the server signed in the stored one's place."""
        enrolment = self.find_enrolment()
        if enrolment is None or configuration.device != enrolment.device:
            raise IdentityError("other_device", "the configuration is meant for another device")
        replaced = enrolment.model_copy(update={"configuration": configuration})
        self.store_enrolment(replaced)
        return replaced

    def sign_head(self, device: DeviceId, epoch: int, through: int, head: str) -> str:
        """The signature of a checkpoint."""
        return sign(checkpoint_statement(device, epoch, through, head), self.key)

    def enrol(self, server_url: str, code: str, agent_version: str) -> StoredEnrolment:
        """Trade the installer's one-time code for a name and store it; raises `IdentityError`.

        Where the code names the server's own authority, only that one and those whom everybody
        trusts are believed, and it signs a certificate for a key that is made here.
        """
        require_private_way(server_url)
        server_url = server_url.rstrip("/")
        typed = read_pairing_code(code)
        if typed is None:
            raise IdentityError("code_malformed", "a part of the pairing code is missing")
        key = authority = None
        if typed.fingerprint is not None:
            authority = _fetch_authority(server_url, typed.fingerprint)
            key = make_key()
        try:
            request = EnrolmentRequest(
                code=code.strip() if key is None else typed.secret,
                public_key=self.public_key.hex(),
                agent_version=agent_version,
                certificate_request=key and make_certificate_request(key, "box"),
            )
        except ValidationError as error:
            raise IdentityError("code_malformed", "the pairing code has 8 to 64 signs") from error
        enrolment = _post(server_url + ENROLMENT_PATH, request, make_trust(authority))
        return self._take(enrolment, server_url, key)

    def _take(
        self, enrolment: Enrolment, server_url: str, key: EllipticCurvePrivateKey | None
    ) -> StoredEnrolment:
        if not enrolment.broker.tls and not is_loopback(enrolment.broker.host):
            raise IdentityError(
                "broker_without_tls",
                f"the server names the broker {enrolment.broker.host} without TLS; "
                "only a broker on this machine may do without",
            )
        if key is not None and enrolment.certificate is not None:
            write_whole(self.tls_file, (write_key(key) + enrolment.certificate).encode())
        else:
            self.tls_file.unlink(missing_ok=True)  # of an earlier pairing
        kept = enrolment.model_dump(exclude={"certificate"})
        stored = StoredEnrolment.model_validate({**kept, "server_url": server_url})
        self.store_enrolment(stored)
        return stored


def require_private_way(server_url: str) -> None:
    """Refuse to carry a pairing code over a wire in the clear."""
    parts = urlsplit(server_url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise IdentityError("server_malformed", f"{server_url!r} is no address like https://host")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise IdentityError(
            "server_without_tls", "pairing needs https://; http:// is only for this machine itself"
        )


def _fetch_authority(server_url: str, fingerprint: str) -> str:
    """The authority that the code names, whoever hands it over."""
    try:
        answer = httpx.get(
            server_url + AUTHORITY_PATH,
            verify=False,  # noqa: S501 - the code tells whether what comes is the right one
            timeout=TIMEOUT_S,
        )
        offered = Authority.model_validate_json(answer.content).authority
    except httpx.HTTPError as error:
        raise IdentityError("server_unreachable", f"{server_url}: {error}") from error
    except ValidationError as error:
        raise IdentityError("server_fault", f"{server_url} answered something else") from error
    authority = find_authority(offered, fingerprint)
    if authority is None:
        raise IdentityError(
            "authority_differs",
            f"{server_url} shows another authority than the pairing code names: "
            "the code is mistyped, or somebody stands between the box and the server",
        )
    return authority


def _post(url: str, request: EnrolmentRequest, trust: ssl.SSLContext) -> Enrolment:
    try:
        answer = httpx.post(
            url,
            content=request.model_dump_json(exclude_none=True),
            headers={"content-type": "application/json"},
            timeout=TIMEOUT_S,
            verify=trust,
        )
    except httpx.HTTPError as error:
        raise IdentityError("server_unreachable", f"{url}: {error}") from error
    if answer.status_code in (401, 403, 404, 409, 410, 422):
        raise IdentityError(
            "code_refused", f"the server refused the code (HTTP {answer.status_code}); ask for one"
        )
    if answer.status_code not in (200, 201):
        raise IdentityError("server_fault", f"{url} answered HTTP {answer.status_code}")
    try:
        return Enrolment.model_validate_json(answer.content)
    except ValidationError as error:
        raise IdentityError("server_fault", f"{url} answered something else") from error


def _load_or_make_key(path: Path) -> Ed25519PrivateKey:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        return _load_key(path)
    key = Ed25519PrivateKey.generate()
    with os.fdopen(descriptor, "wb") as target:
        target.write(key.private_bytes_raw())
        target.flush()
        os.fsync(target.fileno())
    flush_folder(path.parent)
    return key


def _load_key(path: Path) -> Ed25519PrivateKey:
    raw = path.read_bytes()
    if len(raw) != KEY_BYTES:
        raise IdentityError(
            "key_broken", f"{path} is no key ({len(raw)} bytes); remove it and pair the box again"
        )
    return Ed25519PrivateKey.from_private_bytes(raw)
