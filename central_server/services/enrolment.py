"""Pairing: an installer's one-time code becomes a device's keys, broker access, configuration."""

import base64
import hmac
from datetime import timedelta
from secrets import token_bytes

from sqlmodel import Session

from central_server.domain.errors import InvalidError, NotFoundError
from central_server.domain.server_log import DevicePaired, RegistryChanged
from central_server.services import broker_accounts
from central_server.services.context import ServerContext
from central_server.storage import registry, server_log
from central_server.storage.tables import DeviceRow, PairingCodeRow
from event_protocol.enrolment import BrokerAccess, Enrolment, EnrolmentRequest
from event_protocol.messages import DeskConfiguration, DeviceConfiguration
from event_protocol.names import DeskId, DeviceId

CODE_LIFETIME = timedelta(hours=24)  # printed at the desk in the morning, typed in the same day
_CODE_BYTES = 10  # 80 bits, 16 letters
_GROUP = 4
# One answer for every reason: who guesses learns nothing.
REFUSED = "error.enrolment_refused"


def make_code(context: ServerContext, device: str, *, by: str = "command") -> str:
    """A new code for that device, `ABCD-EFGH-…`; shown once. `NotFoundError` if it is unknown."""
    letters = base64.b32encode(token_bytes(_CODE_BYTES)).decode()
    now = context.now()
    with context.database.transaction() as db:
        row = registry.find_device(db, device)
        if row is None or row.revoked_at is not None:
            raise NotFoundError(device=device)
        code = PairingCodeRow(
            code_hash=_hash(context, letters), device_id=device, expires_at=now + CODE_LIFETIME
        )
        registry.save(db, [code])
        entry = RegistryChanged(by=by, what="device.pairing_code", subject=device)
        server_log.append(db, entry, at=now)
    return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))


def enrol(context: ServerContext, request: EnrolmentRequest) -> Enrolment:
    """Uses the code up; `InvalidError` with one code for every reason to refuse it.

    A device that pairs again (new box, new disk) gets a new password and key; the old ones end.
    """
    now = context.now()
    password = broker_accounts.make_password()
    with context.database.transaction() as db:
        code = registry.find_pairing_code(db, _hash(context, request.code))
        if code is None or code.used_at is not None or code.expires_at <= now:
            raise InvalidError(REFUSED)
        device = registry.find_device(db, code.device_id)
        if device is None or device.revoked_at is not None:
            raise InvalidError(REFUSED)
        code.used_at = device.paired_at = now
        device.public_key = request.public_key
        device.password_hash = broker_accounts.hash_password(password)
        entry = DevicePaired(device=device.device_id, public_key=request.public_key)
        server_log.append(db, entry, at=now)
        configuration = _configuration(context, db, device)
    broker_accounts.write_password_file(context)
    name = DeviceId(device.device_id)
    broker = _access(context, name, password)
    return Enrolment(device=name, broker=broker, configuration=configuration)


def configuration_of(context: ServerContext, device: DeviceId) -> DeviceConfiguration:
    """What that device is told about itself; `NotFoundError` if it is unknown."""
    with context.database.reading() as db:
        row = registry.find_device(db, device)
        if row is None:
            raise NotFoundError(device=device)
        return _configuration(context, db, row)


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
        authority=broker.ca_file.read_text() if broker.tls and broker.ca_file else None,
    )


def _hash(context: ServerContext, typed: str) -> str:
    """Keyed, so that the table alone gives no way to try codes, and a look-up no timing to use."""
    letters = "".join(typed.split()).replace("-", "").upper()
    return hmac.new(context.keys.pepper, b"pairing:" + letters.encode(), "sha256").hexdigest()
