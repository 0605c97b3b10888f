"""What the server's tests are fed with: contexts with their own clock, devices, chained events."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.services.keys import load_keys
from central_server.settings import ServerSettings
from central_server.storage import registry
from central_server.storage.tables import DeskRow, DeviceRow, UnitRow
from central_server.storage.unit_of_work import Database
from event_protocol.codec import encode_event, hash_event
from event_protocol.events import (
    DeviceCheckpoint,
    DeviceCheckpointEvent,
    FeedbackChannel,
    FeedbackSubmitted,
    FeedbackSubmittedEvent,
    PresenceObserved,
    PresenceObservedEvent,
    PresenceState,
    ZoneRole,
)
from event_protocol.names import NO_HASH, DeskId, DeviceId
from event_protocol.signing import checkpoint_statement, sign
from event_protocol.topics import Channel, topic_of

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def make_context(
    database: Database, folder: Path, clock: Clock | None = None, **settings: object
) -> ServerContext:
    """A server's parts without its threads; `settings` are sections of `ServerSettings`."""
    chosen = ServerSettings.model_validate({"directory": folder, **settings})
    return ServerContext(chosen, database, load_keys(folder), clock or Clock())


def register_device(
    database: Database, device: str = "device-a", desks: tuple[str, ...] = ("desk-1",)
) -> Ed25519PrivateKey:
    """A paired device with its desks in unit `unit-a`; returns the device's own key."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    with database.transaction() as db:
        if not any(unit.unit_id == "unit-a" for unit in registry.list_units(db)):
            unit = UnitRow(
                unit_id="unit-a", name="Đơn vị A", kind="commune", valid_from=START.date()
            )
            registry.save(db, [unit])
        registry.save(
            db,
            [
                DeviceRow(
                    device_id=device, unit_id="unit-a", public_key=public.hex(), paired_at=START
                ),
                *(
                    DeskRow(
                        desk_id=desk,
                        unit_id="unit-a",
                        name=desk,
                        device_id=device,
                        token_key="ab" * 32,
                    )
                    for desk in desks
                ),
            ],
        )
    return key


class EdgeChain:
    """Events of one device's epoch, numbered and chained as an outbox would."""

    def __init__(
        self,
        device: str = "device-a",
        epoch: int = 1,
        key: Ed25519PrivateKey | None = None,
        start: datetime = START,
    ) -> None:
        self.device, self.epoch, self.key = DeviceId(device), epoch, key
        self.sequence, self.head, self.time = 0, NO_HASH, start

    def presence(
        self,
        state: PresenceState = PresenceState.OCCUPIED,
        *,
        event_id: UUID | None = None,
        time: datetime | None = None,
        desk: str = "desk-1",
    ) -> Incoming:
        """The next statement on the desk's citizen zone."""
        self.time += timedelta(seconds=1)
        at = time or self.time
        data = PresenceObserved(
            zone="citizen",
            role=ZoneRole.CITIZEN,
            state=state,
            since=at,
            confidence=0.9,
            observed_share=1,
        )
        event = PresenceObservedEvent(
            **self._envelope(event_id, at), subject=DeskId(desk), data=data
        )
        return self._chained(encode_event(event))

    def checkpoint(self) -> Incoming:
        """The head so far, signed with the device's key."""
        assert self.key is not None
        statement = checkpoint_statement(self.device, self.epoch, self.sequence, self.head)
        data = DeviceCheckpoint(
            through=self.sequence, hash=self.head, signature=sign(statement, self.key)
        )
        event = DeviceCheckpointEvent(**self._envelope(None, self.time), data=data)
        return self._chained(encode_event(event))

    def feedback(self, sealed: str, digest: str) -> Incoming:
        """Sealed feedback at the desk."""
        event = FeedbackSubmittedEvent(
            **self._envelope(None, self.time),
            subject=DeskId("desk-1"),
            data=FeedbackSubmitted(channel=FeedbackChannel.KIOSK, digest=digest),
            sealed=sealed,
        )
        return self._chained(encode_event(event))

    def raw(self, body: bytes) -> Incoming:
        """Bytes of the caller's own at the next position (which they must name)."""
        return self._chained(body)

    def many(self, count: int) -> list[Incoming]:
        """The next `count` statements."""
        return list(self._many(count))

    def _many(self, count: int) -> Iterator[Incoming]:
        for _ in range(count):
            yield self.presence()

    def _envelope(self, event_id: UUID | None, time: datetime) -> dict[str, object]:
        return {
            "id": event_id or uuid4(),
            "source": f"/devices/{self.device}",
            "time": time,
            "sequence": self.sequence + 1,
            "epoch": self.epoch,
            "boot": 1,
            "prevhash": self.head,
        }

    def _chained(self, body: bytes) -> Incoming:
        self.sequence += 1
        self.head = hash_event(body)
        return Incoming(topic_of(self.device, Channel.EVENTS), body)
