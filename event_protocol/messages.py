"""What travels beside events: status, telemetry, the server's signed receipts and commands."""

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, TypeAdapter, ValidationError

from event_protocol.canonical import canonical_bytes
from event_protocol.events import CameraState, WireModel
from event_protocol.evidence import MAX_KEYS, EvidenceKind, RequestId
from event_protocol.names import (
    CameraName,
    DeskName,
    DeviceId,
    NaturalNumber,
    PositiveInteger,
    Sha256Hex,
    UtcTime,
)
from event_protocol.signing import is_signed, sign

MAX_MESSAGE_BYTES = 262_144
MAX_PROBLEM_CHARACTERS = 200


class Link(StrEnum):
    """Whether the device's MQTT connection stands."""

    ONLINE = "online"
    OFFLINE = "offline"


class DeviceStatus(WireModel):
    """Retained birth or last will; an old will (lower boot) can't undo a new birth."""

    status: Link
    epoch: PositiveInteger
    boot: PositiveInteger


class CameraTelemetry(WireModel):
    """One camera's measured health; `frame_age_ms` from capture to now, `None` before a frame."""

    state: CameraState
    fps: float = Field(ge=0, le=1000)
    frame_age_ms: NaturalNumber | None = None
    analysis_ms: float | None = Field(default=None, ge=0, le=1e6)


class ReceiptFault(StrEnum):
    """The server's receipts do not fit the box's chain; what they name is not taken as filed."""

    AHEAD = "ahead"  # they name an event that the box never wrote
    MISMATCH = "mismatch"  # the server's event with that number is another one


class Telemetry(WireModel):
    """The agent's health, sent now and then at QoS 0; losing one loses nothing."""

    time: UtcTime
    boot: PositiveInteger
    agent_version: str = Field(max_length=64)
    cameras: dict[CameraName, CameraTelemetry]
    cpu_percent: float = Field(ge=0, le=100_000)
    memory_mb: NaturalNumber
    disk_free_mb: NaturalNumber
    outbox_depth: NaturalNumber
    receipt_fault: ReceiptFault | None = None
    confirmer_problem: str | None = Field(
        default=None,
        max_length=MAX_PROBLEM_CHARACTERS,
        description="Why the second opinion on presence was switched off.",
    )
    clockoffsetms: int | None = None


class Resend(WireModel):
    """Ask for positions again; both ends included, of the epoch named."""

    epoch: PositiveInteger
    first: PositiveInteger
    last: PositiveInteger


class Rejection(WireModel):
    """A message that could not be filed: the SHA-256 of its bytes and why."""

    sha256: Sha256Hex
    reason: str = Field(max_length=500)


class Receipt(WireModel):
    """All events of `epoch` up to `through` are committed, the last one having that hash.

    `through` 0 (with no hash) says that nothing of the epoch is committed yet.
    """

    epoch: PositiveInteger
    through: NaturalNumber
    hash: Sha256Hex | None = None
    resend: Resend | None = None
    rejected: tuple[Rejection, ...] = ()
    server_time: UtcTime


class DeskConfiguration(WireModel):
    """One desk that a device serves, with the secret that signs its screen's QR codes (hex)."""

    desk: DeskName
    name: str = Field(max_length=200)
    unit_name: str = Field(max_length=200)
    token_key: Sha256Hex


class DeviceConfiguration(WireModel):
    """All that the server tells a device about itself; replaces what was said before."""

    kind: Literal["configuration"] = "configuration"
    device: str
    desks: tuple[DeskConfiguration, ...]
    sealing_public_key: Sha256Hex
    signing_public_key: Sha256Hex
    public_url: str = Field(max_length=500)


class HandedKey(WireModel):
    """A data key of the ring, opened by the server and sealed to the box's boot key (base64)."""

    key_id: RequestId
    handed: str = Field(max_length=256)


class SendClip(WireModel):
    """Cut and send the pictures of a span of time; sent again until a report answers it.

    The box knows which camera sees the desk; it sends to `server_url`, at most `max_bytes`.
    `hold`: the ring keeps the span until this command comes with `hold` false. `keys` answer a
    report that needed them; only the holder of `boot_key` opens them.
    """

    kind: Literal["send_clip"] = "send_clip"
    request_id: RequestId
    evidence: EvidenceKind = EvidenceKind.CLIP
    desk: DeskName
    begin: UtcTime
    end: UtcTime
    expires: UtcTime
    max_bytes: PositiveInteger
    server_url: str = Field(max_length=500)
    hold: bool = False
    boot_key: Sha256Hex | None = None
    keys: tuple[HandedKey, ...] = Field(default=(), max_length=MAX_KEYS)


Command = Annotated[DeviceConfiguration | SendClip, Field(discriminator="kind")]
COMMAND: TypeAdapter[Command] = TypeAdapter(Command)

ModelT = TypeVar("ModelT", bound=WireModel)


def encode_message(message: WireModel) -> bytes:
    """Canonical JSON of a status or telemetry message."""
    return canonical_bytes(message.model_dump(mode="json", exclude_none=True))


def decode_message(model: type[ModelT], payload: bytes) -> ModelT | None:
    """The message, or `None` if it isn't one (status and telemetry carry no duty to answer)."""
    if len(payload) > MAX_MESSAGE_BYTES:
        return None
    try:
        return model.model_validate_json(payload)
    except (ValidationError, ValueError):
        return None


def _statement(device: DeviceId, content: dict[str, Any]) -> dict[str, Any]:
    # The addressee is signed too, so that one device's receipt can't be replayed to another.
    return {"purpose": "onestop.downlink", "device": device, "content": content}


def encode_signed(device: DeviceId, message: WireModel, key: Ed25519PrivateKey) -> bytes:
    """A receipt or command for one device, signed by the server: its fields and `signature`."""
    content = message.model_dump(mode="json", exclude_none=True)
    return canonical_bytes({**content, "signature": sign(_statement(device, content), key)})


def decode_signed(
    device: DeviceId, model: TypeAdapter[ModelT], payload: bytes, public_key: bytes
) -> ModelT | None:
    """The server's message to this device, or `None` if it is malformed or not signed by it."""
    if len(payload) > MAX_MESSAGE_BYTES:
        return None
    try:
        content = orjson.loads(payload)
        signature = content.pop("signature")
        if not is_signed(_statement(device, content), signature, public_key):
            return None
        return model.validate_python(content)
    except (ValidationError, ValueError, KeyError, AttributeError, TypeError):
        return None


RECEIPT: TypeAdapter[Receipt] = TypeAdapter(Receipt)
