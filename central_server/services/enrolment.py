"""Pairing: an installer's one-time code becomes a device's keys, broker access, configuration."""

import hmac
from datetime import datetime, timedelta
from secrets import token_bytes

from sqlmodel import Session

from central_server.domain.device_log import CertificateIssued
from central_server.domain.errors import InvalidError, NotFoundError
from central_server.domain.server_log import DevicePaired, RegistryChanged
from central_server.services import broker_accounts
from central_server.services.authority import Authority, find_authority, write_certificate
from central_server.services.context import ServerContext
from central_server.storage import registry, server_log
from central_server.storage.tables import DeviceRow, PairingCodeRow
from event_protocol.certificates import IssuedCertificate
from event_protocol.enrolment import BrokerAccess, Enrolment, EnrolmentRequest
from event_protocol.messages import DeskConfiguration, DeviceConfiguration
from event_protocol.names import DeskId, DeviceId
from event_protocol.pairing_codes import SECRET_BYTES, read_pairing_code, write_pairing_code

CODE_LIFETIME = timedelta(hours=24)  # printed at the desk in the morning, typed in the same day
# One answer for every reason: who guesses learns nothing.
REFUSED = "error.enrolment_refused"


def make_code(context: ServerContext, device: str, *, by: str = "command") -> str:
    """A new code for that device, `ABCD-EFGH-…`; shown once. `NotFoundError` if it is unknown."""
    authority = find_authority(context.settings.directory)
    typed = write_pairing_code(
        token_bytes(SECRET_BYTES), None if authority is None else authority.fingerprint
    )
    now = context.now()
    with context.database.transaction() as db:
        row = registry.find_device(db, device)
        if row is None or row.revoked_at is not None:
            raise NotFoundError(device=device)
        code = PairingCodeRow(
            code_hash=_hash(context, typed), device_id=device, expires_at=now + CODE_LIFETIME
        )
        registry.save(db, [code])
        entry = RegistryChanged(by=by, what="device.pairing_code", subject=device)
        server_log.append(db, entry, at=now)
    return typed


def enrol(context: ServerContext, request: EnrolmentRequest) -> Enrolment:
    """Uses the code up; `InvalidError` with one code for every reason to refuse it.

    A device that pairs again (new box, new disk) gets a new password and key; the old ones end.
    """
    now = context.now()
    authority = find_authority(context.settings.directory)
    with context.database.transaction() as db:
        device = _take_code(context, db, request.code, now)
        name = DeviceId(device.device_id)
        password, device.password_hash = broker_accounts.make_access(context, name)
        device.public_key = request.public_key
        entry = DevicePaired(device=name, public_key=request.public_key)
        server_log.append(db, entry, at=now)
        certificate = None
        if authority is not None and request.certificate_request is not None:
            certificate = _issue(db, authority, name, request.certificate_request, now)
        configuration = _configuration(context, db, device)
    broker_accounts.write_password_file(context)
    return Enrolment(
        device=name,
        broker=_access(context, name, password),
        configuration=configuration,
        certificate=certificate,
        authority=None if authority is None else authority.trusted,
    )


def renew_certificate(
    context: ServerContext, device: DeviceId, certificate_request: str
) -> IssuedCertificate:
    """A new certificate for a device that proved itself; `NotFoundError` without an authority."""
    authority, now = require_authority(context), context.now()
    with context.database.transaction() as db:
        certificate = _issue(db, authority, device, certificate_request, now)
    return IssuedCertificate(certificate=certificate, authority=authority.trusted)


def require_authority(context: ServerContext) -> Authority:
    """The server's own authority; `NotFoundError` if it has none."""
    authority = find_authority(context.settings.directory)
    if authority is None:
        raise NotFoundError()
    return authority


def configuration_of(context: ServerContext, device: DeviceId) -> DeviceConfiguration:
    """What that device is told about itself; `NotFoundError` if it is unknown."""
    with context.database.reading() as db:
        row = registry.find_device(db, device)
        if row is None:
            raise NotFoundError(device=device)
        return _configuration(context, db, row)


def _take_code(context: ServerContext, db: Session, typed: str, now: datetime) -> DeviceRow:
    """Uses the code up and returns its device; `InvalidError` for every reason to refuse it."""
    code = registry.find_pairing_code(db, _hash(context, typed))
    if code is None or code.used_at is not None or code.expires_at <= now:
        raise InvalidError(REFUSED)
    device = registry.find_device(db, code.device_id)
    if device is None or device.revoked_at is not None:
        raise InvalidError(REFUSED)
    code.used_at = device.paired_at = now
    return device


def _issue(db: Session, authority: Authority, device: DeviceId, request: str, now: datetime) -> str:
    certificate = authority.sign_device(device, request, now)
    entry = CertificateIssued(
        device=device,
        serial=f"{certificate.serial_number:x}",
        expires=certificate.not_valid_after_utc,
    )
    server_log.append(db, entry, at=now)
    return write_certificate(certificate)


def _configuration(context: ServerContext, db: Session, device: DeviceRow) -> DeviceConfiguration:
    desks = tuple(
        DeskConfiguration(
            desk=DeskId(desk.desk_id),
            name=desk.name,
            unit_name=unit.name,
            token_key=desk.token_key,
        )
        for desk, unit in registry.list_desks_of_device(db, device.device_id)
    )
    return DeviceConfiguration(
        device=device.device_id,
        desks=desks,
        sealing_public_key=context.keys.sealing_public.hex(),
        signing_public_key=context.keys.signing_public.hex(),
        public_url=context.settings.web.public_url,
    )


def _access(context: ServerContext, device: DeviceId, password: str) -> BrokerAccess:
    broker = context.settings.broker
    return BrokerAccess(
        host=broker.device_host or broker.host,
        port=broker.port,
        username=device,
        password=password,
        tls=broker.tls,
        authority=broker_accounts.broker_authority(context) if broker.tls else None,
    )


def _hash(context: ServerContext, typed: str) -> str:
    """Keyed, so that the table alone gives no way to try codes, and a look-up no timing to use."""
    code = read_pairing_code(typed)
    secret = "" if code is None else code.secret
    return hmac.new(context.keys.pepper, b"pairing:" + secret.encode(), "sha256").hexdigest()
