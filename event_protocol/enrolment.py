"""Pairing: an installer's one-time code becomes a device's name, keys and broker access (HTTPS)."""

import ipaddress

from pydantic import Field

from event_protocol.certificates import MAX_PEM_LETTERS, MAX_REQUEST_LETTERS
from event_protocol.events import WireModel
from event_protocol.messages import DeviceConfiguration
from event_protocol.names import DeviceName, Sha256Hex

ENROLMENT_PATH = "/api/v1/enrolments"


class EnrolmentRequest(WireModel):
    """What the agent sends; the private key of `public_key` (Ed25519, hex) never leaves the box.

    `certificate_request` (PKCS #10, PEM) stands where the code names the server's own authority.
    """

    code: str = Field(min_length=8, max_length=64)
    public_key: Sha256Hex
    agent_version: str = Field(max_length=64)
    certificate_request: str | None = Field(default=None, max_length=MAX_REQUEST_LETTERS)


class BrokerAccess(WireModel):
    """Where and as whom the device reaches the broker; loopback alone may go without TLS.

    `authority` (PEM) signed the broker's certificate; absent: one that the system trusts.
    """

    host: str = Field(max_length=253)
    port: int = Field(ge=1, le=65535)
    username: DeviceName
    password: str = Field(max_length=128)
    tls: bool
    authority: str | None = Field(default=None, max_length=MAX_PEM_LETTERS)


class Enrolment(WireModel):
    """What the server answers, once for each code.

    `certificate` (PEM) is what was requested; `authority` (PEM) signed it, and the server's own.
    """

    device: DeviceName
    broker: BrokerAccess
    configuration: DeviceConfiguration
    certificate: str | None = Field(default=None, max_length=MAX_PEM_LETTERS)
    authority: str | None = Field(default=None, max_length=MAX_PEM_LETTERS)


def is_loopback(host: str) -> bool:
    """Whether what is sent to `host` stays on this machine, and so may go without TLS."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
