"""What the server's own log says of clips and snapshots: who asked, what came of it, who looked."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from event_protocol.events import WireModel
from event_protocol.evidence import EvidenceKind, RequestId
from event_protocol.names import DeskName, DeviceName, PositiveInteger, Sha256Hex, UtcTime

Reason = Annotated[str, Field(min_length=1, max_length=300)]


class EvidenceAsked(WireModel):
    """Pictures of a flag's desk were asked for; `by` nobody: by the settings, for such flags."""

    type: Literal["evidence.asked"] = "evidence.asked"
    request_id: UUID
    flag_id: UUID
    by: str | None = None
    reason: Reason | None = None
    kind: EvidenceKind
    unit_id: str
    device: DeviceName
    desk: DeskName
    begin: UtcTime
    end: UtcTime
    expires: UtcTime


class _Reported(WireModel):
    """`report` and `signature` are the device's own, as `event_protocol.evidence` made them."""

    request_id: UUID
    report: dict[str, Any]
    signature: str


class EvidenceReceived(_Reported):
    """The pictures are here, whole, under the hash that the device signed."""

    type: Literal["evidence.received"] = "evidence.received"


class EvidenceUnavailable(_Reported):
    """The device says why there are none, and what of the span it could have shown."""

    type: Literal["evidence.unavailable"] = "evidence.unavailable"


class EvidenceRefused(_Reported):
    """What arrived is not what the report promises; thrown away, the device begins anew."""

    type: Literal["evidence.refused"] = "evidence.refused"
    fault: Literal["hash", "media_type"]
    sha256: Sha256Hex
    size: PositiveInteger


class EvidenceKeysHanded(WireModel):
    """The device got keys of its ring back, for the span of this request alone."""

    type: Literal["evidence.keys_handed"] = "evidence.keys_handed"
    request_id: UUID
    key_ids: tuple[RequestId, ...]


class EvidenceExpired(WireModel):
    """No answer in time."""

    type: Literal["evidence.expired"] = "evidence.expired"
    request_id: UUID


class EvidenceViewed(WireModel):
    """Somebody opened the pictures, for this reason."""

    type: Literal["evidence.viewed"] = "evidence.viewed"
    request_id: UUID
    by: str
    reason: Reason


class EvidenceHeld(WireModel):
    """Legal hold: not to be erased, here or in the device's ring, until it is lifted."""

    type: Literal["evidence.held"] = "evidence.held"
    request_id: UUID
    by: str
    reason: Reason


class EvidenceHoldLifted(WireModel):
    type: Literal["evidence.hold_lifted"] = "evidence.hold_lifted"
    request_id: UUID
    by: str
    reason: Reason


class EvidenceErased(WireModel):
    """Kept as long as settings say, and not held: the file is gone, what was done stays."""

    type: Literal["evidence.erased"] = "evidence.erased"
    request_id: UUID


EvidenceEntry = (
    EvidenceAsked
    | EvidenceReceived
    | EvidenceUnavailable
    | EvidenceRefused
    | EvidenceKeysHanded
    | EvidenceExpired
    | EvidenceViewed
    | EvidenceHeld
    | EvidenceHoldLifted
    | EvidenceErased
)
