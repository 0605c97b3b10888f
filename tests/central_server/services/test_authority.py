"""The server's own authority, by what others see of it: chains that verify, names that bind."""

from contextlib import nullcontext
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, Subject, VerificationError

from central_server.domain.errors import InvalidError
from central_server.services.authority import Authority, find_authority, make_authority
from event_protocol.certificates import make_certificate_request, make_key
from event_protocol.names import DeviceId
from tests.central_server.factories import START


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path, START)


def read(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode())


def test_it_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    assert find_authority(tmp_path) is None
    made = make_authority(tmp_path, START)
    assert (tmp_path / "authority.pem").stat().st_mode & 0o777 == 0o600
    found = find_authority(tmp_path)
    assert found is not None
    assert (found.fingerprint, found.trusted) == (made.fingerprint, made.trusted)
    assert found.key.private_numbers() == made.key.private_numbers()


def test_a_device_gets_its_own_name_whatever_it_asked_for(authority: Authority) -> None:
    key = make_key()
    request = make_certificate_request(key, "somebody-else")
    issued = authority.sign_device(DeviceId("device-a"), request, START)
    assert issued.subject.rfc4514_string() == "CN=device-a"
    assert issued.public_key() == key.public_key()
    year = START + timedelta(days=360)
    policy = PolicyBuilder().store(Store(read(authority.trusted))).time(year)
    verified = policy.build_client_verifier().verify(issued, [])
    assert verified.subjects == [x509.UniformResourceIdentifier("urn:onestop:device-a")]
    with pytest.raises(VerificationError):
        policy.build_server_verifier(x509.DNSName("device-a")).verify(issued, [])


def test_no_certificate_without_a_proven_key(authority: Authority) -> None:
    with pytest.raises(InvalidError):
        authority.sign_device(DeviceId("device-a"), "malformed", START)


@pytest.mark.parametrize(
    ("host", "is_good"),
    [
        (x509.DNSName("mqtt.example"), True),
        (x509.IPAddress(ip_address("10.0.0.7")), True),
        (x509.DNSName("other.example"), False),
        (x509.IPAddress(ip_address("10.0.0.8")), False),
    ],
)
def test_a_host_is_trusted_by_its_names_only(
    authority: Authority, host: Subject, is_good: bool
) -> None:
    (leaf,) = read(authority.make_host(["mqtt.example", "10.0.0.7"], START).chain)
    policy = PolicyBuilder().store(Store(read(authority.trusted))).time(START)
    with nullcontext() if is_good else pytest.raises(VerificationError):
        policy.build_server_verifier(host).verify(leaf, [])


def test_a_new_authority_signs_and_the_former_stays_trusted(
    authority: Authority, tmp_path: Path
) -> None:
    later = START + timedelta(days=1)
    renewed = make_authority(tmp_path, later)
    assert renewed.fingerprint != authority.fingerprint
    policy = PolicyBuilder().store(Store(read(renewed.trusted))).time(later)
    for signer in (authority, renewed):
        (leaf,) = read(signer.make_host(["mqtt.example"], START).chain)
        policy.build_server_verifier(x509.DNSName("mqtt.example")).verify(leaf, [])
