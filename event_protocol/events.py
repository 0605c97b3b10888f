"""One frozen model for each event a device can send, and the CloudEvents envelope they share.

A field is never re-used and never changes its meaning; what an old version said is settled in
`codec.py`. Nothing here knows how an event is stored or shown.
"""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from event_protocol.names import (
    CameraName,
    DeskName,
    DeviceId,
    PositiveInteger,
    Sha256Hex,
    Share,
    UtcTime,
    ZoneName,
)

SCHEMA_VERSION = 1
SCHEMA_URN = f"urn:onestop:schema:{SCHEMA_VERSION}"
SOURCE_PREFIX = "/devices/"
MAX_SLIP_CHARACTERS = 512
MAX_SHIFT_PIXELS = 65_536

PixelShift = Annotated[int, Field(ge=-MAX_SHIFT_PIXELS, le=MAX_SHIFT_PIXELS)]


class WireModel(BaseModel):
    """Base of all that travels: immutable, and an unknown field is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ZoneRole(StrEnum):
    """Whom a zone of the picture is for."""

    CITIZEN = "citizen"
    OFFICER = "officer"
    WAITING = "waiting"


class PresenceState(StrEnum):
    """Whether somebody (not who) is in a zone; not knowing is a state of its own."""

    OCCUPIED = "occupied"
    EMPTY = "empty"
    UNKNOWN = "unknown"


class CameraState(StrEnum):
    """Whether the picture can be trusted, and if not, why."""

    OK = "ok"
    LOST = "lost"
    COVERED = "covered"
    MOVED = "moved"
    DEFOCUSED = "defocused"
    FROZEN = "frozen"
    DARK = "dark"


class CameraDetail(StrEnum):
    """What kind of fault a camera's state stands for, where it stands for several."""

    PARTLY = "partly"
    """Covered: not all of the picture."""
    GLARE = "glare"
    """Covered: by light."""
    TURNED = "turned"
    """Moved: nothing of the old view is left."""
    SIZE = "size"
    """Moved: the picture has another shape."""
    TIME_JUMP = "time_jump"
    """Lost: the clock was set, or the recording has a gap."""


class QueueBand(StrEnum):
    """How many people wait, as far as a camera can honestly say."""

    NONE = "0"
    ONE = "1"
    SEVERAL = "2+"


class LastRun(StrEnum):
    """How the agent's previous run ended, as its own disk shows it."""

    FIRST = "first"
    CLEAN = "clean"
    KILLED = "killed"


class FeedbackChannel(StrEnum):
    """The door through which feedback came."""

    KIOSK = "kiosk"
    CARD = "card"
    PHONE = "phone"
    HOME = "home"
    HOTLINE = "hotline"


class EpochHead(WireModel):
    """Where a chain stands: the hash of the event with that sequence."""

    epoch: PositiveInteger
    sequence: PositiveInteger
    hash: Sha256Hex


class DeviceStarted(WireModel):
    """The agent started: its version, how the last run ended, where the epoch before ended."""

    agent_version: Annotated[str, StringConstraints(max_length=64)]
    platform: Annotated[str, StringConstraints(max_length=200)]
    last_run: LastRun
    desks: tuple[DeskName, ...]
    previous_epoch: EpochHead | None = None


class DeviceCheckpoint(WireModel):
    """The chain's head, signed with the device's Ed25519 key (see `signing.py`)."""

    through: PositiveInteger
    hash: Sha256Hex
    signature: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$")]


class PictureShift(WireModel):
    """By how many pixels of the frame what stands still went right and down."""

    right: PixelShift
    down: PixelShift


class CameraObserved(WireModel):
    """What can be said of one camera's picture, since when.

    `shift`: how far a moved camera's picture went, if that can be told.
    """

    camera: CameraName
    state: CameraState
    since: UtcTime
    detail: CameraDetail | None = None
    shift: PictureShift | None = None


class PresenceObserved(WireModel):
    """What can be said of one zone, since when.

    `confidence` is 0–1 and orders statements by how much to rely on them; it is no measured
    probability. `observed_share` is the share of the time since the last statement on this zone in
    which the picture could be trusted. Each stay in a citizen zone has a `session_id`.
    """

    zone: ZoneName
    role: ZoneRole
    state: PresenceState
    since: UtcTime
    confidence: Share
    observed_share: Share
    session_id: UUID | None = None


class QueueObserved(WireModel):
    """How many people wait, in three bands; `confidence` as that of presence."""

    zone: ZoneName
    band: QueueBand
    since: UtcTime
    confidence: Share


class SlipScanned(WireModel):
    """What an appointment slip's code said."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_SLIP_CHARACTERS)]
    session_id: UUID | None = None


class ObservationsDropped(WireModel):
    """What a camera gave to see could not be kept: the disk was full, and feedback comes first.

    `since` is the time of the first of `count` lost statements, the event's time that of the last.
    """

    camera: CameraName
    count: PositiveInteger
    since: UtcTime


class FeedbackSubmitted(WireModel):
    """Somebody rated or complained; all but channel and desk is sealed (see `sealing.py`)."""

    channel: FeedbackChannel
    digest: Sha256Hex


class FeedbackAmended(WireModel):
    """The first tap was changed or completed; `amends` is the id of the first event."""

    channel: FeedbackChannel
    digest: Sha256Hex
    amends: UUID


class Envelope(WireModel):
    """CloudEvents 1.0 attributes and the extensions of this protocol.

    `sequence` is contiguous for each device and epoch, from 1; `prevhash` is the SHA-256 of the
    previous event's canonical bytes without `sealed`; `time` comes from the frame, not the sending.
    """

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: Annotated[str, Field(pattern=rf"^{SOURCE_PREFIX}[a-z0-9_-]{{1,64}}$")]
    time: UtcTime
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:onestop:schema:1"] = "urn:onestop:schema:1"
    sequence: PositiveInteger
    epoch: PositiveInteger
    boot: PositiveInteger
    prevhash: Sha256Hex
    clockoffsetms: int | None = Field(default=None, ge=-(2**53) + 1, le=2**53 - 1)

    @property
    def device(self) -> DeviceId:
        """The device that the event says it comes from."""
        return DeviceId(self.source.removeprefix(SOURCE_PREFIX))


class DeviceStartedEvent(Envelope):
    type: Literal["onestop.device.started"] = "onestop.device.started"
    subject: None = None
    data: DeviceStarted


class DeviceCheckpointEvent(Envelope):
    type: Literal["onestop.device.checkpoint"] = "onestop.device.checkpoint"
    subject: None = None
    data: DeviceCheckpoint


class CameraObservedEvent(Envelope):
    type: Literal["onestop.camera.observed"] = "onestop.camera.observed"
    subject: DeskName
    data: CameraObserved


class PresenceObservedEvent(Envelope):
    type: Literal["onestop.presence.observed"] = "onestop.presence.observed"
    subject: DeskName
    data: PresenceObserved


class QueueObservedEvent(Envelope):
    type: Literal["onestop.queue.observed"] = "onestop.queue.observed"
    subject: DeskName
    data: QueueObserved


class SlipScannedEvent(Envelope):
    type: Literal["onestop.slip.scanned"] = "onestop.slip.scanned"
    subject: DeskName
    data: SlipScanned


class ObservationsDroppedEvent(Envelope):
    type: Literal["onestop.observations.dropped"] = "onestop.observations.dropped"
    subject: None = None
    data: ObservationsDropped


class FeedbackSubmittedEvent(Envelope):
    type: Literal["onestop.feedback.submitted"] = "onestop.feedback.submitted"
    subject: DeskName
    data: FeedbackSubmitted
    sealed: str | None = Field(default=None, max_length=32768)


class FeedbackAmendedEvent(Envelope):
    type: Literal["onestop.feedback.amended"] = "onestop.feedback.amended"
    subject: DeskName
    data: FeedbackAmended
    sealed: str | None = Field(default=None, max_length=32768)


EventData = (
    DeviceStarted
    | DeviceCheckpoint
    | CameraObserved
    | PresenceObserved
    | QueueObserved
    | SlipScanned
    | ObservationsDropped
    | FeedbackSubmitted
    | FeedbackAmended
)

Event = Annotated[
    DeviceStartedEvent
    | DeviceCheckpointEvent
    | CameraObservedEvent
    | PresenceObservedEvent
    | QueueObservedEvent
    | SlipScannedEvent
    | ObservationsDroppedEvent
    | FeedbackSubmittedEvent
    | FeedbackAmendedEvent,
    Field(discriminator="type"),
]

EVENT_OF_DATA: dict[type[EventData], type[Event]] = {
    DeviceStarted: DeviceStartedEvent,
    DeviceCheckpoint: DeviceCheckpointEvent,
    CameraObserved: CameraObservedEvent,
    PresenceObserved: PresenceObservedEvent,
    QueueObserved: QueueObservedEvent,
    SlipScanned: SlipScannedEvent,
    ObservationsDropped: ObservationsDroppedEvent,
    FeedbackSubmitted: FeedbackSubmittedEvent,
    FeedbackAmended: FeedbackAmendedEvent,
}
