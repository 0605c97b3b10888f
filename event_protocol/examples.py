"""One example of everything on the wire: the golden files, and the examples in the documents.

Fixed to the byte: keys, ids and times are invented constants, and nothing here is random.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from event_protocol.events import (
    EVENT_OF_DATA,
    CameraObserved,
    CameraState,
    DeviceCheckpoint,
    DeviceStarted,
    EpochHead,
    Event,
    EventData,
    FeedbackAmended,
    FeedbackChannel,
    FeedbackSubmitted,
    LastRun,
    ObservationsDropped,
    PresenceObserved,
    PresenceState,
    QueueBand,
    QueueObserved,
    SlipScanned,
    WireModel,
    ZoneRole,
)
from event_protocol.messages import (
    CameraTelemetry,
    DeskConfiguration,
    DeviceConfiguration,
    DeviceStatus,
    Link,
    Receipt,
    Rejection,
    Resend,
    SendClip,
    Telemetry,
)
from event_protocol.names import DeskId, DeviceId
from event_protocol.signing import checkpoint_statement, sign

DEVICE = DeviceId("desk-box-01")
DESK = DeskId("counter-1")
EPOCH = 1_767_254_400
BOOT = 3
AT = datetime(2026, 1, 5, 1, 30, 0, 120_000, tzinfo=UTC)
# For examples only: everybody knows these.
DEVICE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SERVER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))

_SESSION = UUID("019b8c05-7f8e-7c3a-9d7e-5a1f0c2b4d6e")
_FIRST_TAP = UUID("7d0f8a52-3c9b-4e41-8f6d-2b1a9c0e5d73")
_SEALED = "5f70bf18a0860070:c2VhbGVkIHRvIHRoZSBzZXJ2ZXIncyBwdWJsaWMga2V5"
_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _statements() -> list[EventData]:
    """What each type says, in the order of the document."""
    return [
        DeviceStarted(
            agent_version="0.1.0",
            platform="Linux aarch64",
            last_run=LastRun.CLEAN,
            desks=(DESK,),
            previous_epoch=EpochHead(epoch=EPOCH - 86_400, sequence=412, hash=_HASH),
        ),
        CameraObserved(camera="ceiling", state=CameraState.OK, since=AT),
        PresenceObserved(
            zone="chair",
            role=ZoneRole.CITIZEN,
            state=PresenceState.OCCUPIED,
            since=AT - timedelta(seconds=1.5),
            confidence=0.93,
            observed_share=1,
            session_id=_SESSION,
        ),
        QueueObserved(zone="bench", band=QueueBand.SEVERAL, since=AT, confidence=0.7),
        SlipScanned(text="HEN|2026-01-05|0830|HS-000123", session_id=_SESSION),
        FeedbackSubmitted(channel=FeedbackChannel.KIOSK, digest=_HASH),
        FeedbackAmended(channel=FeedbackChannel.KIOSK, digest=_HASH, amends=_FIRST_TAP),
        DeviceCheckpoint(
            through=7,
            hash=_HASH,
            signature=sign(checkpoint_statement(DEVICE, EPOCH, 7, _HASH), DEVICE_KEY),
        ),
        ObservationsDropped(camera="ceiling", count=310, since=AT - timedelta(hours=2)),
    ]


def example_events() -> list[Event]:
    """One event of every type, numbered from 1 as one device's stream."""
    return [_example_event(number, said) for number, said in enumerate(_statements(), start=1)]


def _example_event(sequence: int, said: EventData) -> Event:
    is_feedback = isinstance(said, FeedbackSubmitted | FeedbackAmended)
    fields = {
        "id": _FIRST_TAP if is_feedback else UUID(int=_SESSION.int + sequence),
        "source": f"/devices/{DEVICE}",
        "time": AT.replace(microsecond=0) if is_feedback else AT + timedelta(seconds=sequence),
        "sequence": sequence,
        "epoch": EPOCH,
        "boot": BOOT,
        "prevhash": _HASH,
        "clockoffsetms": 12,
        "data": said,
    }
    if not isinstance(said, DeviceStarted | DeviceCheckpoint | ObservationsDropped):
        fields["subject"] = DESK
    if is_feedback:
        fields["sealed"] = _SEALED
    return EVENT_OF_DATA[type(said)].model_validate(fields)


def example_status() -> DeviceStatus:
    """A retained birth."""
    return DeviceStatus(status=Link.ONLINE, epoch=EPOCH, boot=BOOT)


def example_telemetry() -> Telemetry:
    """A healthy agent with one camera."""
    camera = CameraTelemetry(state=CameraState.OK, fps=24.9, frame_age_ms=41, analysis_ms=3.2)
    return Telemetry(
        time=AT,
        boot=BOOT,
        agent_version="0.1.0",
        cameras={"ceiling": camera},
        cpu_percent=11.5,
        memory_mb=182,
        disk_free_mb=20_480,
        outbox_depth=0,
        clockoffsetms=12,
    )


def example_downlinks() -> list[WireModel]:
    """A receipt that asks for a gap, a configuration, and a request for a clip."""
    desk = DeskConfiguration(
        desk=DESK, name="Quầy 1", unit_name="Công an xã Ví Dụ", token_key="0f" * 32
    )
    return [
        Receipt(
            epoch=EPOCH,
            through=8,
            hash=_HASH,
            resend=Resend(epoch=EPOCH, first=9, last=11),
            rejected=(Rejection(sha256=_HASH, reason="not a JSON object"),),
            server_time=AT + timedelta(seconds=9),
        ),
        DeviceConfiguration(
            device=DEVICE,
            desks=(desk,),
            sealing_public_key="1e" * 32,
            signing_public_key=SERVER_KEY.public_key().public_bytes_raw().hex(),
            public_url="https://onestop.example",
        ),
        SendClip(
            request_id="5b1c7f0e-2d7a-5c3e-9a41-0c8f6d2e7b90",
            desk=DESK,
            begin=AT,
            end=AT + timedelta(seconds=20),
            expires=AT + timedelta(days=7),
            max_bytes=200_000_000,
            server_url="https://onestop.example",
        ),
    ]
