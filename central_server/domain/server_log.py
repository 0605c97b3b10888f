"""The server's own log: typed entries, and how they are chained.

What `tick` observed, what people decided, what citizens said by phone. The fold that derives flags
reads these entries and device events, and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from central_server.domain.custody_log import CustodyEntry
from central_server.domain.device_log import DeviceEntry
from central_server.domain.evidence_log import EvidenceEntry
from event_protocol.canonical import canonical_bytes, sha256_hex
from event_protocol.events import FeedbackChannel, WireModel
from event_protocol.names import PositiveInteger, Sha256Hex, UtcTime, format_time


class RulesActivated(WireModel):
    type: Literal["rules.activated"] = "rules.activated"
    rules_hash: Sha256Hex
    effective_from: UtcTime
    content: dict[str, Any]


class DeviceFellSilent(WireModel):
    type: Literal["device.fell_silent"] = "device.fell_silent"
    device: str
    since: UtcTime  # last heard


class DeviceHeardAgain(WireModel):
    type: Literal["device.heard_again"] = "device.heard_again"
    device: str
    at: UtcTime
    silent_since: UtcTime


class GapGivenUp(WireModel):
    """Positions never received within the limit; projection steps over them as unknown."""

    type: Literal["gap.given_up"] = "gap.given_up"
    device: str
    epoch: PositiveInteger
    first: PositiveInteger
    last: PositiveInteger


class IncidentRecorded(WireModel):
    """A known position with other bytes, or a known id elsewhere; the bytes are in quarantine.

    `other_epoch_head`: by what the next epoch says, another event (`sha256`) stood there.
    """

    type: Literal["incident.recorded"] = "incident.recorded"
    device: str
    epoch: PositiveInteger
    sequence: PositiveInteger
    kind: Literal["other_bytes", "known_id_elsewhere", "other_epoch_head"]
    sha256: Sha256Hex


class StreamSuperseded(WireModel):
    """A device opened a new epoch; what was under way in the old one ends as not observed."""

    type: Literal["stream.superseded"] = "stream.superseded"
    device: str
    epoch: PositiveInteger
    by_epoch: PositiveInteger
    at: UtcTime


class FeedbackReceived(WireModel):
    """Feedback by phone, from home or by hotline; its content is sealed beside the entry."""

    type: Literal["feedback.received"] = "feedback.received"
    feedback_id: UUID
    channel: FeedbackChannel
    desk: str | None = None
    unit_id: str
    digest: Sha256Hex
    entered_by: str | None = None  # the operator, for what came by hotline or suggestion box


class FeedbackCompleted(WireModel):
    """The first tap was changed or completed; the sealed content replaces the former."""

    type: Literal["feedback.completed"] = "feedback.completed"
    feedback_id: UUID
    digest: Sha256Hex


class MessageWritten(WireModel):
    """One turn of the anonymous conversation on a receipt; the words are sealed."""

    type: Literal["message.written"] = "message.written"
    feedback_id: UUID
    by: str | None = None  # None: the citizen
    digest: Sha256Hex


class FlagTaken(WireModel):
    type: Literal["flag.taken"] = "flag.taken"
    flag_id: UUID
    by: str


class FlagReleased(WireModel):
    """Undo of taken or dismissed: the flag is open again."""

    type: Literal["flag.released"] = "flag.released"
    flag_id: UUID
    by: str


class FlagDismissed(WireModel):
    type: Literal["flag.dismissed"] = "flag.dismissed"
    flag_id: UUID
    by: str
    reason: str = Field(min_length=1, max_length=1000)


class FlagWithdrawn(WireModel):
    """Late facts disproved a flag; its last form is kept here so that a rebuild shows it too."""

    type: Literal["flag.withdrawn"] = "flag.withdrawn"
    flag_id: UUID
    flag: dict[str, Any]


class Notified(WireModel):
    type: Literal["notification.sent"] = "notification.sent"
    flag_id: UUID
    level: int


class NotificationAcknowledged(WireModel):
    type: Literal["notification.acknowledged"] = "notification.acknowledged"
    flag_id: UUID
    by: str


class Viewed(WireModel):
    """Somebody looked at something that is logged: a complaint's words, an export, a clip."""

    type: Literal["viewed"] = "viewed"
    by: str
    what: str = Field(max_length=100)
    subject: str = Field(max_length=100)
    reason: str | None = Field(default=None, max_length=300)


class RegistryChanged(WireModel):
    """Units, desks, devices, users: what was changed, by whom (a log-in name or `command`)."""

    type: Literal["registry.changed"] = "registry.changed"
    by: str
    what: str = Field(max_length=100)
    subject: str = Field(max_length=100)


class DevicePaired(WireModel):
    """A device proved its code; checkpoints it signs from now on bear this key (Ed25519, hex)."""

    type: Literal["device.paired"] = "device.paired"
    device: str
    public_key: Sha256Hex


Entry = Annotated[
    RulesActivated
    | DeviceFellSilent
    | DeviceHeardAgain
    | GapGivenUp
    | IncidentRecorded
    | StreamSuperseded
    | FeedbackReceived
    | FeedbackCompleted
    | MessageWritten
    | FlagTaken
    | FlagReleased
    | FlagDismissed
    | FlagWithdrawn
    | Notified
    | NotificationAcknowledged
    | Viewed
    | RegistryChanged
    | DevicePaired
    | CustodyEntry
    | DeviceEntry
    | EvidenceEntry,
    Field(discriminator="type"),
]

_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry with its place in the chain; `time` is rounded to a quarter hour for feedback."""

    sequence: int
    entry_id: UUID
    time: datetime
    prevhash: str
    entry: Entry
    sealed: str | None = None


def entry_bytes(logged: LoggedEntry) -> bytes:
    """Canonical bytes without `sealed`: what is stored and hashed."""
    return canonical_bytes(
        {
            "sequence": logged.sequence,
            "id": str(logged.entry_id),
            "time": format_time(logged.time),
            "prevhash": logged.prevhash,
            "data": logged.entry.model_dump(mode="json", exclude_none=True),
        }
    )


def entry_hash(body: bytes) -> str:
    """The hash that the next entry's `prevhash` carries."""
    return sha256_hex(body)


def read_entry(data: Mapping[str, Any]) -> Entry:
    """The typed entry of a stored body's `data`."""
    return _ENTRY.validate_python(data)
