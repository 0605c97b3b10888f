"""First contact with a server that signs for itself, and renewal: over TLS, to its real routes."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from fastapi import FastAPI

from central_server.http import enrolment as routes
from central_server.http import error_pages
from central_server.services import enrolment
from central_server.services.authority import Authority, make_authority
from central_server.services.context import ServerContext
from central_server.storage import schema
from central_server.storage.unit_of_work import Database
from edge_agent.delivery.identity import Identity, IdentityError
from edge_agent.delivery.renewal import CertificateRenewal, RenewalError, is_due
from edge_agent.delivery.tls import find_authority, make_broker_context, make_trust
from tests.central_server.factories import Clock, make_context, register_device
from tests.processes.tls_pages import TlsPages

NOW = datetime.now(UTC)  # noqa: TID251 - real TLS goes by the machine's clock
LATER = NOW + timedelta(days=300)  # of a certificate's 365


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerContext]:
    folder = tmp_path_factory.mktemp("server")
    database = Database(f"sqlite:///{folder / 'server.sqlite'}")
    schema.migrate(database)
    register_device(database)
    yield make_context(database, folder, Clock(NOW))
    database.close()


@pytest.fixture(scope="module")
def authority(context: ServerContext) -> Authority:
    return make_authority(context.settings.directory, NOW)


@pytest.fixture(scope="module")
def server(
    context: ServerContext, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TlsPages]:
    app = FastAPI()
    app.state.context = context
    error_pages.install(app)
    app.include_router(routes.router)
    credentials = authority.make_host(["127.0.0.1"], NOW)
    with TlsPages(app, credentials, tmp_path_factory.mktemp("pages")) as pages:
        yield pages


def pair(folder: Path, context: ServerContext, server: TlsPages) -> Identity:
    identity = Identity(folder)
    identity.enrol(server.url, enrolment.make_code(context, "device-a"), "1")
    return identity


def serial_in(identity: Identity) -> int:
    certificate = identity.find_certificate()
    assert certificate is not None
    return certificate.serial_number


def renewal(identity: Identity, now: datetime) -> CertificateRenewal:
    stored = identity.find_enrolment()
    assert stored is not None
    broker = make_broker_context(stored.broker, identity.tls_file)
    return CertificateRenewal(identity, make_trust(stored.authority), broker, lambda: now)


def test_the_code_alone_makes_the_server_trusted(
    tmp_path: Path, context: ServerContext, authority: Authority, server: TlsPages
) -> None:
    identity = pair(tmp_path, context, server)
    stored = identity.find_enrolment()
    assert stored is not None
    assert (stored.device, stored.authority) == ("device-a", authority.trusted)
    assert stored.server_url == server.url
    certificate = identity.find_certificate()
    assert certificate is not None
    certificate.verify_directly_issued_by(authority.certificate)
    assert identity.tls_file.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" in identity.tls_file.read_text()
    assert "PRIVATE KEY" not in (tmp_path / "enrolment.json").read_text()
    make_broker_context(stored.broker, identity.tls_file)  # key and certificate fit


def test_who_stands_between_is_found_out(
    tmp_path: Path, context: ServerContext, server: TlsPages
) -> None:
    code = enrolment.make_code(context, "device-a")
    other = make_authority(tmp_path, NOW).fingerprint
    named_otherwise = f"{code[:19]}-{other}"
    with pytest.raises(IdentityError) as refused:
        Identity(tmp_path).enrol(server.url, named_otherwise, "1")
    assert refused.value.code == "authority_differs"
    assert Identity(tmp_path).enrol(server.url, code, "1").device == "device-a"  # it was not sent


def test_a_code_without_authority_trusts_only_whom_everybody_trusts(
    tmp_path: Path, context: ServerContext, server: TlsPages
) -> None:
    with pytest.raises(IdentityError) as refused:
        Identity(tmp_path).enrol(server.url, enrolment.make_code(context, "device-a")[:19], "1")
    assert refused.value.code == "server_unreachable"
    assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value)


def test_what_is_slipped_in_beside_the_right_authority_is_not_believed(
    tmp_path: Path, authority: Authority
) -> None:
    own, foreign = authority.trusted, make_authority(tmp_path, NOW)
    assert find_authority(foreign.trusted + own, authority.fingerprint) == own
    assert find_authority(foreign.trusted, authority.fingerprint) is None
    assert find_authority("no certificate", authority.fingerprint) is None


def test_a_certificate_is_renewed_when_little_is_left(
    tmp_path: Path, context: ServerContext, server: TlsPages
) -> None:
    identity = pair(tmp_path, context, server)
    first = serial_in(identity)
    assert not renewal(identity, NOW).renew_if_due()
    assert serial_in(identity) == first
    # The box's clock is far off the server's: it is told the right one and asks again.
    assert renewal(identity, LATER).renew_if_due()
    assert serial_in(identity) != first
    stored = identity.find_enrolment()
    assert stored is not None
    make_broker_context(stored.broker, identity.tls_file)


def test_a_server_that_is_away_is_asked_again_later(
    tmp_path: Path, context: ServerContext, server: TlsPages
) -> None:
    identity = pair(tmp_path, context, server)
    first = serial_in(identity)
    stored = identity.find_enrolment()
    assert stored is not None
    away = stored.model_copy(update={"server_url": "https://127.0.0.1:1"})
    identity.store_enrolment(away)
    with pytest.raises(RenewalError, match="ConnectError"):
        renewal(identity, LATER).renew_if_due()
    assert serial_in(identity) == first


def test_a_new_authority_reaches_the_box_with_its_next_certificate(
    tmp_path: Path, context: ServerContext, authority: Authority, server: TlsPages
) -> None:
    identity = pair(tmp_path, context, server)
    kept = (context.settings.directory / "authority.pem").read_bytes()
    renewed = make_authority(context.settings.directory, NOW + timedelta(days=1))
    try:
        assert renewal(identity, LATER).renew_if_due()
    finally:
        (context.settings.directory / "authority.pem").write_bytes(kept)
    stored = identity.find_enrolment()
    assert stored is not None
    assert stored.authority == renewed.trusted
    assert authority.trusted in renewed.trusted


@pytest.mark.parametrize(("days", "due"), [(0, False), (240, False), (250, True), (400, True)])
def test_a_third_of_its_life_is_left_for_renewing(
    authority: Authority, days: int, due: bool
) -> None:
    chain = authority.make_client("x", NOW).chain
    certificate = x509.load_pem_x509_certificate(chain.encode())
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    assert is_due(certificate, begin + (end - begin) * days / 365) is due


def test_a_broken_tls_file_is_named(tmp_path: Path) -> None:
    identity = Identity(tmp_path)
    assert identity.find_certificate() is None
    identity.tls_file.write_text("broken")
    with pytest.raises(IdentityError, match="pair the box again"):
        identity.find_certificate()
    with pytest.raises(ssl.SSLError):
        ssl.create_default_context().load_cert_chain(identity.tls_file)
