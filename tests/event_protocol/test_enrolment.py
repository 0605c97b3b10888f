"""Pairing: what agent and server say to each other once."""

import pytest
from pydantic import ValidationError

from event_protocol.enrolment import BrokerAccess, Enrolment, EnrolmentRequest, is_loopback
from event_protocol.examples import DEVICE, example_downlinks
from event_protocol.messages import DeviceConfiguration

_, CONFIGURATION, _ = example_downlinks()


def test_an_enrolment_reads_as_it_was_written() -> None:
    assert isinstance(CONFIGURATION, DeviceConfiguration)
    broker = BrokerAccess(
        host="mqtt.example", port=8883, username=DEVICE, password="only-for-this-test", tls=True
    )
    answer = Enrolment(device=DEVICE, broker=broker, configuration=CONFIGURATION)
    assert Enrolment.model_validate_json(answer.model_dump_json()) == answer


@pytest.mark.parametrize(
    "changed", [{"code": "short"}, {"public_key": "z" * 64}, {"agent_version": "1" * 65}]
)
def test_a_request_that_cant_be_one_is_refused(changed: dict[str, str]) -> None:
    request = {"code": "ABCD-EFGH", "public_key": "0f" * 32, "agent_version": "0.1.0"}
    assert EnrolmentRequest.model_validate(request)
    with pytest.raises(ValidationError):
        EnrolmentRequest.model_validate(request | changed)


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - nothing binds to it
        ("10.0.0.5", False),
        ("mqtt.example", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_what_stays_on_this_machine(host: str, is_own: bool) -> None:
    assert is_loopback(host) == is_own
