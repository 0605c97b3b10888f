"""Pairing: one code, one use, one answer for every reason to refuse."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from central_server.domain.device_log import CertificateIssued
from central_server.domain.errors import InvalidError, NotFoundError
from central_server.domain.server_log import DevicePaired, RegistryChanged
from central_server.services import broker_accounts, enrolment
from central_server.services.authority import make_authority
from central_server.services.context import ServerContext
from central_server.storage import registry, server_log
from central_server.storage.unit_of_work import Database
from event_protocol.certificates import make_certificate_request, make_key
from event_protocol.enrolment import EnrolmentRequest
from event_protocol.names import DeviceId
from event_protocol.pairing_codes import read_pairing_code
from tests.central_server.factories import START, Clock, make_context, register_device

PUBLIC_KEY = "cd" * 32


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def context(database: Database, tmp_path: Path, clock: Clock) -> ServerContext:
    register_device(database, desks=("desk-1", "desk-2"))
    return make_context(database, tmp_path, clock)


def request(code: str) -> EnrolmentRequest:
    return EnrolmentRequest(code=code, public_key=PUBLIC_KEY, agent_version="1")


def test_a_device_is_told_whose_certificate_the_broker_has(
    database: Database, tmp_path: Path
) -> None:
    register_device(database)
    (tmp_path / "own").mkdir()
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    broker = {"host": "broker", "device_host": "mqtt.example", "tls": True}
    own = make_authority(tmp_path / "own", START).trusted
    for directory, ca_file, authority in (
        (tmp_path, tmp_path / "ca.pem", "-----BEGIN CERTIFICATE-----\n"),
        (tmp_path, None, None),
        (tmp_path / "own", None, own),
    ):
        context = make_context(database, directory, broker={**broker, "ca_file": ca_file})
        access = enrolment.enrol(context, request(enrolment.make_code(context, "device-a"))).broker
        assert (access.host, access.tls, access.authority) == ("mqtt.example", True, authority)


def test_a_code_becomes_keys_and_access(context: ServerContext, clock: Clock) -> None:
    code = enrolment.make_code(context, "device-a")
    answer = enrolment.enrol(context, request(f" {code.lower()} "))
    assert answer.device == answer.broker.username == "device-a"
    assert [desk.desk for desk in answer.configuration.desks] == ["desk-1", "desk-2"]
    assert answer.configuration.desks[0].unit_name == "Đơn vị A"
    assert answer.configuration.signing_public_key == context.keys.signing_public.hex()
    assert answer.configuration.sealing_public_key == context.keys.sealing_public.hex()
    assert enrolment.configuration_of(context, DeviceId("device-a")) == answer.configuration
    with context.database.reading() as db:
        device = registry.find_device(db, "device-a")
        assert device is not None
        assert (device.public_key, device.paired_at) == (PUBLIC_KEY, clock.at)
        changes = [e.entry for e in server_log.read_after(db, 0)]
    assert changes == [
        RegistryChanged(by="command", what="device.pairing_code", subject="device-a"),
        DevicePaired(device="device-a", public_key=PUBLIC_KEY),
    ]
    hashes = broker_accounts.read_password_file(broker_accounts.password_file(context).read_text())
    assert broker_accounts.is_password(answer.broker.password, hashes["device-a"])
    own = broker_accounts.own_password(context)
    assert broker_accounts.is_password(own, hashes["central-server"])
    assert not broker_accounts.is_password(own, hashes["device-a"])
    assert not broker_accounts.is_password(own, "malformed")
    again = broker_accounts.password_behind(context, "device-a", hashes["device-a"])
    assert again == answer.broker.password
    assert (answer.certificate, answer.authority) == (None, None)


def test_a_device_that_pairs_again_gets_another_password(context: ServerContext) -> None:
    first, second = (
        enrolment.enrol(context, request(enrolment.make_code(context, "device-a"))).broker.password
        for _ in range(2)
    )
    assert first != second
    hashes = broker_accounts.device_hashes(context)
    assert not broker_accounts.is_password(first, hashes["device-a"])
    assert broker_accounts.is_password(second, hashes["device-a"])


def test_with_an_authority_the_code_names_it_and_the_device_gets_a_certificate(
    context: ServerContext, clock: Clock
) -> None:
    authority = make_authority(context.settings.directory, clock.at)
    code = enrolment.make_code(context, "device-a")
    read = read_pairing_code(code)
    assert read is not None
    assert read.fingerprint == authority.fingerprint
    asked = request(read.secret).model_copy(
        update={"certificate_request": make_certificate_request(make_key(), "box")}
    )
    answer = enrolment.enrol(context, asked)
    assert answer.authority == authority.trusted
    assert answer.certificate is not None
    issued = x509.load_pem_x509_certificate(answer.certificate.encode())
    issued.verify_directly_issued_by(authority.certificate)
    renewed = enrolment.renew_certificate(
        context, DeviceId("device-a"), make_certificate_request(make_key(), "box")
    )
    later = x509.load_pem_x509_certificate(renewed.certificate.encode())
    assert later.public_key() != issued.public_key()
    with context.database.reading() as db:
        logged = [e.entry for e in server_log.read_after(db, 0)]
    assert [e for e in logged if isinstance(e, CertificateIssued)] == [
        CertificateIssued(
            device="device-a", serial=f"{one.serial_number:x}", expires=one.not_valid_after_utc
        )
        for one in (issued, later)
    ]


def test_a_certificate_that_cant_be_given_leaves_the_code_unused(
    context: ServerContext, clock: Clock
) -> None:
    make_authority(context.settings.directory, clock.at)
    code = enrolment.make_code(context, "device-a")
    malformed = request(code).model_copy(update={"certificate_request": "nothing"})
    with pytest.raises(InvalidError) as caught:
        enrolment.enrol(context, malformed)
    assert caught.value.code == "error.certificate_request"
    assert enrolment.enrol(context, request(code)).device == "device-a"


def test_without_an_authority_nothing_is_renewed(context: ServerContext) -> None:
    with pytest.raises(NotFoundError):
        enrolment.renew_certificate(context, DeviceId("device-a"), "x")


def refusal(context: ServerContext, code: str) -> str:
    with pytest.raises(InvalidError) as caught:
        enrolment.enrol(context, request(code))
    return f"{caught.value.code} {caught.value.details}"


def test_every_refusal_looks_the_same(context: ServerContext, clock: Clock) -> None:
    used = enrolment.make_code(context, "device-a")
    enrolment.enrol(context, request(used))
    answers = {refusal(context, used), refusal(context, "AAAA-AAAA-AAAA-AAAA")}
    old = enrolment.make_code(context, "device-a")
    clock.at += enrolment.CODE_LIFETIME + timedelta(seconds=1)
    answers.add(refusal(context, old))
    of_revoked = enrolment.make_code(context, "device-a")
    with context.database.transaction() as db:
        registry.list_devices(db)[0].revoked_at = clock.at
    answers.add(refusal(context, of_revoked))
    assert answers == {"error.enrolment_refused {}"}


def test_no_code_for_unknown_or_revoked_devices(context: ServerContext, clock: Clock) -> None:
    with context.database.transaction() as db:
        registry.list_devices(db)[0].revoked_at = clock.at
    for device in ("device-a", "device-x"):
        with pytest.raises(NotFoundError):
            enrolment.make_code(context, device)
    with pytest.raises(NotFoundError):
        enrolment.configuration_of(context, DeviceId("device-x"))
