"""A desk's morning as real events, ways in which they may arrive, and all that is derived."""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from central_server.services import ingest, projector
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.storage import projection
from central_server.storage.unit_of_work import Database
from event_protocol.codec import encode_event
from event_protocol.events import (
    CameraObserved,
    CameraObservedEvent,
    CameraState,
    DeviceStarted,
    DeviceStartedEvent,
    EpochHead,
    FeedbackAmended,
    FeedbackAmendedEvent,
    FeedbackChannel,
    FeedbackSubmitted,
    FeedbackSubmittedEvent,
    LastRun,
    PresenceObserved,
    PresenceObservedEvent,
    PresenceState,
    SlipScanned,
    SlipScannedEvent,
    ZoneRole,
)
from event_protocol.feedback import FeedbackContent, content_digest, make_salt
from event_protocol.names import DeskId, floor_to_quarter
from event_protocol.sealing import seal
from tests.central_server.factories import Clock, EdgeChain, make_context

OPENING = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)  # Monday, 07:00 at the desk
RULES_FILE = Path(__file__).resolve().parents[3] / "configs" / "flag_rules.yaml"
CITIZEN, OFFICER = ZoneRole.CITIZEN, ZoneRole.OFFICER
OCCUPIED, EMPTY, UNKNOWN = PresenceState.OCCUPIED, PresenceState.EMPTY, PresenceState.UNKNOWN


def minute(minutes: float) -> datetime:
    """The instant so many minutes after opening."""
    return OPENING + timedelta(minutes=minutes)


def make_server(database: Database, folder: Path, at: float = 600) -> ServerContext:
    """A server with the shipped rules; its clock stands so many minutes after opening."""
    return make_context(database, folder, Clock(minute(at)), rules_file=RULES_FILE)


class DeskChain(EdgeChain):
    """Everything that one device says of one desk."""

    def __init__(
        self,
        context: ServerContext,
        device: str = "device-a",
        desk: str = "desk-1",
        epoch: int = 1,
        key: Ed25519PrivateKey | None = None,
    ) -> None:
        super().__init__(device, epoch, key, OPENING)
        self.desk, self.sealing_key = DeskId(desk), context.keys.sealing_public
        self.said: list[Incoming] = []

    def zone(
        self,
        at: float,
        state: PresenceState,
        role: ZoneRole = CITIZEN,
        session: UUID | None = None,
        since: float | None = None,
    ) -> "DeskChain":
        """`presence.observed`."""
        data = PresenceObserved(
            zone=role.value,
            role=role,
            state=state,
            since=minute(at if since is None else since),
            confidence=0.9,
            observed_share=1,
            session_id=session,
        )
        envelope = self._envelope(None, minute(at))
        return self._say(PresenceObservedEvent(**envelope, subject=self.desk, data=data))

    def camera(self, at: float, state: CameraState) -> "DeskChain":
        """`camera.observed`."""
        data = CameraObserved(camera="cam", state=state, since=minute(at))
        envelope = self._envelope(None, minute(at))
        return self._say(CameraObservedEvent(**envelope, subject=self.desk, data=data))

    def starts(self, at: float, previous: EpochHead | None = None) -> "DeskChain":
        """`device.started`."""
        data = DeviceStarted(
            agent_version="1",
            platform="test",
            last_run=LastRun.KILLED,
            desks=(self.desk,),
            previous_epoch=previous,
        )
        return self._say(DeviceStartedEvent(**self._envelope(None, minute(at)), data=data))

    def rate(self, at: float, rating: int | None, **words: Any) -> UUID:
        """A tap at the kiosk; its id."""
        content = FeedbackContent(salt=make_salt(), at=minute(at), rating=rating, **words)
        envelope = self._envelope(uuid4(), floor_to_quarter(minute(at)))
        self._say(
            FeedbackSubmittedEvent(
                **envelope,
                subject=self.desk,
                data=FeedbackSubmitted(
                    channel=FeedbackChannel.KIOSK, digest=content_digest(content)
                ),
                sealed=seal(content, self.sealing_key),
            )
        )
        return UUID(str(envelope["id"]))

    def amend(self, at: float, first: UUID, rating: int | None, **words: Any) -> "DeskChain":
        """The tap is changed or completed."""
        content = FeedbackContent(salt=make_salt(), at=minute(at), rating=rating, **words)
        data = FeedbackAmended(
            channel=FeedbackChannel.KIOSK, digest=content_digest(content), amends=first
        )
        return self._say(
            FeedbackAmendedEvent(
                **self._envelope(uuid4(), floor_to_quarter(minute(at))),
                subject=self.desk,
                data=data,
                sealed=seal(content, self.sealing_key),
            )
        )

    def slip(self, at: float, text: str) -> "DeskChain":
        """An appointment slip is shown to the camera."""
        envelope = self._envelope(None, minute(at))
        return self._say(
            SlipScannedEvent(**envelope, subject=self.desk, data=SlipScanned(text=text))
        )

    def empty_desk(self, at: float = 0) -> "DeskChain":
        """The officer there, no citizen."""
        return self.zone(at, OCCUPIED, OFFICER).zone(at, EMPTY)

    def visit(self, begin: float, end: float, session: UUID) -> "DeskChain":
        """A citizen comes and goes."""
        return self.zone(begin, OCCUPIED, session=session).zone(end, EMPTY)

    def kept_waiting(self, begin: float, end: float, session: UUID) -> "DeskChain":
        """A citizen waits from `begin`, stated every five minutes; the officer comes at `end`."""
        self.zone(begin, EMPTY, OFFICER).zone(begin, OCCUPIED, session=session)
        at = begin + 5
        while at < end:
            self.zone(at, OCCUPIED, session=session, since=begin)
            at += 5
        return self.zone(end, OCCUPIED, OFFICER)

    def _say(self, event: Any) -> "DeskChain":
        self.said.append(self._chained(encode_event(event)))
        return self


def busy_morning(context: ServerContext, key: Ed25519PrivateKey | None = None) -> DeskChain:
    """Served, kept waiting, unobserved, rated, complaining: something of everything."""
    chain = DeskChain(context, key=key)
    first, second, third, fourth = (UUID(int=number) for number in range(1, 5))
    chain.starts(0).empty_desk().visit(5, 12, first)
    chain.rate(12.5, 5)
    tap = chain.rate(13, 1)
    chain.amend(13.5, tap, 4)
    chain.kept_waiting(20, 55, second).zone(60, EMPTY)
    chain.rate(59, 2, session_id=second)
    chain.rate(61, None, reasons=("asked_for_money",), comment="words")
    chain.visit(70, 75, third).zone(80, OCCUPIED, session=fourth)
    chain.camera(82, CameraState.COVERED).zone(82, UNKNOWN).zone(82, UNKNOWN, OFFICER)
    chain.zone(87, UNKNOWN, since=82).camera(90, CameraState.OK)
    chain.zone(90, OCCUPIED, OFFICER).zone(90, OCCUPIED, session=fourth).zone(95, EMPTY)
    if key is not None:
        chain.said.append(chain.checkpoint())
    return chain.zone(100, EMPTY, since=95)


def deliver(context: ServerContext, batch: Sequence[Incoming]) -> None:
    """One batch through intake and projector, as the subscriber does."""
    receipts = ingest.append(context, batch)
    projector.project_devices(context, {(name, receipt.epoch) for name, receipt in receipts})


def deliver_shuffled(
    context: ServerContext, messages: Sequence[Incoming], seed: int, batch: int
) -> None:
    """In any order, some of it twice, in batches of that size at most."""
    chance = random.Random(seed)  # noqa: S311 - an order to try, not a secret
    twice = [*messages, *chance.sample(list(messages), len(messages) // 3)]
    chance.shuffle(twice)
    start = 0
    while start < len(twice):
        size = chance.randint(1, batch)
        deliver(context, twice[start : start + size])
        start += size


def derived(context: ServerContext, leave_out: Iterable[str] = ()) -> dict[str, list[Any]]:
    """Every row of every derived table."""
    with context.database.reading() as db:
        return {
            table.name: [
                tuple(row)
                for row in db.connection().execute(select(table).order_by(*table.primary_key))
            ]
            for table in projection.DERIVED
            if table.name not in leave_out
        }
