"""The box's key and its pairing, against a real HTTP server on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.delivery.identity import Identity, IdentityError
from event_protocol.enrolment import ENROLMENT_PATH
from event_protocol.messages import DeviceConfiguration
from event_protocol.names import DeviceId
from event_protocol.signing import checkpoint_statement, is_signed
from tests.processes.edge_agent import DEVICE, make_enrolment
from tests.processes.pairing_server import PairingServer

CODE = "ABCD-EFGH-JKLM"


@pytest.fixture
def server() -> Iterator[PairingServer]:
    with PairingServer() as running:
        yield running


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    first = Identity(tmp_path)
    assert Identity(tmp_path).public_key == first.public_key
    assert (tmp_path / "device.key").stat().st_mode & 0o777 == 0o600
    signature = first.sign_head(DEVICE, 1, 2, "a" * 64)
    assert is_signed(checkpoint_statement(DEVICE, 1, 2, "a" * 64), signature, first.public_key)


def test_a_cut_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "device.key").write_bytes(b"short")
    with pytest.raises(IdentityError, match="is no key"):
        Identity(tmp_path)


def test_pairing_stores_what_the_server_answered(tmp_path: Path, server: PairingServer) -> None:
    identity = Identity(tmp_path)
    assert identity.find_enrolment() is None
    enrolment = identity.enrol(f"{server.url}/", f" {CODE} ", "0.1.0")
    assert Identity(tmp_path).find_enrolment() == enrolment
    assert (tmp_path / "enrolment.json").stat().st_mode & 0o777 == 0o600
    ((path, asked),) = server.asked
    assert path == ENROLMENT_PATH
    assert asked == {
        "code": CODE,
        "public_key": identity.public_key.hex(),
        "agent_version": "0.1.0",
    }


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        (404, "", "code_refused"),
        (410, "", "code_refused"),
        (500, "", "server_fault"),
        (201, "{}", "server_fault"),
        (201, "<html>", "server_fault"),
    ],
)
def test_what_the_server_refuses_leaves_nothing_behind(
    tmp_path: Path, server: PairingServer, status: int, answer: str, code: str
) -> None:
    server.status, server.answer = status, answer
    with pytest.raises(IdentityError) as raised:
        Identity(tmp_path).enrol(server.url, CODE, "0.1.0")
    assert raised.value.code == code
    assert not (tmp_path / "enrolment.json").exists()


def test_a_broker_elsewhere_needs_tls(tmp_path: Path, server: PairingServer) -> None:
    server.answer = server.answer.replace('"host":"127.0.0.1"', '"host":"broker.example.org"')
    with pytest.raises(IdentityError, match="without TLS"):
        Identity(tmp_path).enrol(server.url, CODE, "0.1.0")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://server.example.org", "server_without_tls"),
        ("server.example.org", "server_malformed"),
        ("ftp://127.0.0.1", "server_malformed"),
        ("https://127.0.0.1:1", "server_unreachable"),
    ],
)
def test_the_code_travels_only_a_private_way(tmp_path: Path, url: str, code: str) -> None:
    with pytest.raises(IdentityError) as raised:
        Identity(tmp_path).enrol(url, CODE, "0.1.0")
    assert raised.value.code == code


def test_a_short_code_is_not_even_sent(tmp_path: Path, server: PairingServer) -> None:
    with pytest.raises(IdentityError) as raised:
        Identity(tmp_path).enrol(server.url, "abc", "0.1.0")
    assert raised.value.code == "code_malformed"
    assert server.asked == []


def test_a_configuration_replaces_the_stored_one_of_this_device_only(tmp_path: Path) -> None:
    identity, enrolment = Identity(tmp_path), make_enrolment(1883)
    identity.store_enrolment(enrolment)
    new = enrolment.configuration.model_copy(update={"public_url": "https://new"})
    identity.store_configuration(new)
    stored = identity.find_enrolment()
    assert stored is not None
    assert stored.configuration.public_url == "https://new"
    assert stored.broker == enrolment.broker
    other: DeviceConfiguration = new.model_copy(update={"device": DeviceId("box-2")})
    with pytest.raises(IdentityError):
        identity.store_configuration(other)


def test_a_damaged_enrolment_is_named(tmp_path: Path) -> None:
    (tmp_path / "enrolment.json").write_text("{")
    with pytest.raises(IdentityError, match="pair the box again"):
        Identity(tmp_path).find_enrolment()
