"""What the server's log says of a device's access: certificates issued, boxes revoked."""

from typing import Literal

from pydantic import Field

from event_protocol.events import WireModel
from event_protocol.names import PositiveInteger, UtcTime


class CertificateIssued(WireModel):
    """The server's own authority signed a client certificate; `serial` in hexadecimal."""

    type: Literal["device.certificate_issued"] = "device.certificate_issued"
    device: str
    serial: str = Field(max_length=40)
    expires: UtcTime


class Positions(WireModel):
    """Events of one epoch, both ends included."""

    epoch: PositiveInteger
    first: PositiveInteger
    last: PositiveInteger


class DeviceRevoked(WireModel):
    """A device is refused from now on, for good.

    `lost_since`: from then on the box was in unknown hands; `doubtful` is what had arrived since.
    """

    type: Literal["device.revoked"] = "device.revoked"
    device: str
    by: str
    reason: str = Field(min_length=1, max_length=300)
    lost_since: UtcTime | None = None
    doubtful: tuple[Positions, ...] = ()


DeviceEntry = CertificateIssued | DeviceRevoked
