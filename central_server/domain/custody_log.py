"""What the server's own log says of its keeping: anchors, keys, erasure, restoration."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from event_protocol.events import WireModel
from event_protocol.feedback import ComplaintReason, SurveyAnswer, SurveyItem
from event_protocol.names import NaturalNumber, PositiveInteger, Sha256Hex, UtcTime
from event_protocol.server_heads import KeyHandover, SignedHead

By = Annotated[str, Field(max_length=64)]  # a log-in name, or `command`
StreamHead = tuple[str, PositiveInteger, PositiveInteger, Sha256Hex]
StreamSpan = tuple[str, PositiveInteger, PositiveInteger, PositiveInteger, Sha256Hex, NaturalNumber]


class StreamsAnchored(WireModel):
    """Where epochs of devices stood: device, epoch, number, and the hash of that event."""

    type: Literal["streams.anchored"] = "streams.anchored"
    heads: tuple[StreamHead, ...]


class LogAnchored(WireModel):
    """The log's head before this entry, signed; `streams` entries before it tell of devices'."""

    type: Literal["log.anchored"] = "log.anchored"
    head: SignedHead
    streams: NaturalNumber


class StreamsCut(WireModel):
    """Events that the `events.dropped` behind it lets go: device, epoch, first and last number, the
    last one's hash, and how many they were.
    """

    type: Literal["streams.cut"] = "streams.cut"
    spans: tuple[StreamSpan, ...]


class EventsDropped(WireModel):
    """Retention dropped all that was received before `until`, and what of the same epochs stood
    before it. The signed head stands for it, and for the `streams` entries before, which say what.
    """

    type: Literal["events.dropped"] = "events.dropped"
    until: UtcTime
    events: NaturalNumber
    streams: NaturalNumber
    head: SignedHead


class KeysRotated(WireModel):
    """The server got new keys, to sign with or to be sealed to (X25519 public, hex)."""

    type: Literal["keys.rotated"] = "keys.rotated"
    by: By
    signing: KeyHandover | None = None
    sealing: Sha256Hex | None = None


class SealingKeysRetired(WireModel):
    """Nothing is under way any more that these would open; named by their short ids."""

    type: Literal["keys.retired"] = "keys.retired"
    by: By
    sealing: tuple[str, ...]


class ErasedForm(WireModel):
    """What is left of one form of a feedback, for figures and flags: no word, no link, no time."""

    rating: int | None = Field(default=None, ge=1, le=5)
    reasons: tuple[ComplaintReason, ...] = ()


class FeedbackErased(WireModel):
    """Words, contact, exact time and link to a session are gone, by age or on request.

    What figures were made of stays, or reports of the past could not be made again: the last form,
    every form in which it was a complaint, the survey, how it met a session and what it weighed.
    """

    type: Literal["feedback.erased"] = "feedback.erased"
    feedback_id: UUID
    by: By | None = None  # None: by age
    reason: Annotated[str, Field(max_length=300)] | None = None
    last: ErasedForm
    complaints: tuple[ErasedForm, ...] = ()
    survey: dict[SurveyItem, SurveyAnswer] = Field(default_factory=dict)
    match: str
    weight: float


class ServerRestored(WireModel):
    """The server was restored from a backup that was begun then: what it logged since is lost."""

    type: Literal["server.restored"] = "server.restored"
    backup: UtcTime


CustodyEntry = (
    StreamsAnchored
    | LogAnchored
    | StreamsCut
    | EventsDropped
    | KeysRotated
    | SealingKeysRetired
    | FeedbackErased
    | ServerRestored
)
