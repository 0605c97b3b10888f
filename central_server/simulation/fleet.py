"""Statements of simulated devices become numbered, chained, sealed events, day by day.

A device makes them as the edge agent does, but keeps nothing on disk: the same seed gives the same
chain again (sealing is random, and outside the hash), so what a broker loses can be said once more.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_server.simulation.days import make_day
from central_server.simulation.habits import Habits
from central_server.simulation.statements import Phoned, Said, random_id
from central_server.simulation.visits import Span, minutes_between, somewhen
from event_protocol.codec import encode_event, hash_event
from event_protocol.events import (
    EVENT_OF_DATA,
    SOURCE_PREFIX,
    DeviceCheckpoint,
    DeviceStarted,
    FeedbackAmended,
    FeedbackSubmitted,
    LastRun,
)
from event_protocol.names import NO_HASH, DeskId, DeviceId, floor_to_quarter, to_milliseconds
from event_protocol.sealing import seal
from event_protocol.signing import checkpoint_statement, sign

AGENT_VERSION = "simulated"
CHECKPOINT_EVERY_EVENTS = 100  # as the agent
OUTAGE_MINUTES = (20, 90)

OpeningOf = Callable[[DeskId, date], Sequence[Span]]


@dataclass(frozen=True, slots=True)
class SimulatedDevice:
    """One box and the desks it watches, each with its habits."""

    device: DeviceId
    desks: tuple[tuple[DeskId, Habits], ...]


@dataclass(frozen=True, slots=True)
class FleetEvent:
    """One event as published; the network lets it through from `deliver_at` on."""

    sequence: int
    deliver_at: datetime
    payload: bytes
    hash: str


def device_key(seed: int, device: DeviceId) -> Ed25519PrivateKey:
    """The device's signing key; anybody can derive it, and it signs for a simulated box only."""
    return Ed25519PrivateKey.from_private_bytes(
        hashlib.sha256(f"simulated/{seed}/{device}".encode()).digest()
    )


def random_source(seed: int, *what: object) -> Random:
    """Repeatable chance, its own for each thing, so that one more desk changes no other."""
    return Random("/".join(map(str, (seed, *what))))  # noqa: S311 - repeatable, not secret


class DeviceChain:
    """The events of one device from its first day on; `epoch` is that day's Unix time."""

    def __init__(
        self, device: SimulatedDevice, seed: int, first_day: datetime, sealing_public: bytes
    ) -> None:
        self.device = device.device
        self.epoch = int(first_day.timestamp())
        self.boot = 0
        self._desks = device.desks
        self._seed = seed
        self._key = device_key(seed, device.device)
        self._sealing_public = sealing_public
        self._sequence = 0
        self._head = NO_HASH
        self._phoned: list[Phoned] = []
        self._ids = random_source(seed, device.device, "ids")

    def make_day(self, day: date, opening_of: OpeningOf) -> Iterator[FleetEvent]:
        """The events of one day; none if all its desks are closed."""
        opening = {desk: periods for desk, _ in self._desks if (periods := opening_of(desk, day))}
        if not opening:
            return
        random = random_source(self._seed, self.device, day)
        running = _running(random, list(opening.values()))
        outage = self._outage(random, next(iter(opening.values())))
        self.boot += 1
        said = [Said(running.begin, None, self._start())]
        for desk, habits in self._desks:
            if desk in opening:
                own = random_source(self._seed, desk, day)
                made = make_day(own, desk, habits, opening[desk], running)
                said += made.said
                self._phoned += made.phoned
        for one in sorted(said, key=lambda said: said.at):
            deliver_at = one.at
            if outage is not None and outage.begin <= one.at < outage.end:
                deliver_at = outage.end
            yield self._chain(one, deliver_at)
            if self._sequence % CHECKPOINT_EVERY_EVENTS == 0:
                yield self._chain(Said(one.at, None, self._checkpoint()), deliver_at)

    def take_phoned(self, until: datetime) -> list[Phoned]:
        """What citizens sent by phone up to then, of the days made so far; each is given once."""
        due = [one for one in self._phoned if one.at <= until]
        self._phoned = [one for one in self._phoned if one.at > until]
        return due

    def _outage(self, random: Random, opening: Sequence[Span]) -> Span | None:
        share = max(habits.network_down_share for _, habits in self._desks)
        span = somewhen(random, opening, OUTAGE_MINUTES)
        return span if random.random() < share else None

    def _start(self) -> DeviceStarted:
        return DeviceStarted(
            agent_version=AGENT_VERSION,
            platform="simulated",
            last_run=LastRun.FIRST if self.boot == 1 else LastRun.CLEAN,
            desks=tuple(desk for desk, _ in self._desks),
        )

    def _checkpoint(self) -> DeviceCheckpoint:
        statement = checkpoint_statement(self.device, self.epoch, self._sequence, self._head)
        return DeviceCheckpoint(
            through=self._sequence, hash=self._head, signature=sign(statement, self._key)
        )

    def _chain(self, said: Said, deliver_at: datetime) -> FleetEvent:
        is_feedback = isinstance(said.data, FeedbackSubmitted | FeedbackAmended)
        fields: dict[str, object] = {
            "id": said.event_id or self._time_ordered_id(said.at),
            "time": floor_to_quarter(said.at) if is_feedback else said.at,
            "source": SOURCE_PREFIX + self.device,
            "subject": said.desk,
            "sequence": self._sequence + 1,
            "epoch": self.epoch,
            "boot": self.boot,
            "prevhash": self._head,
            "clockoffsetms": 0,
            "data": said.data,
        }
        if said.content is not None:
            fields["sealed"] = seal(said.content, self._sealing_public)
        payload = encode_event(EVENT_OF_DATA[type(said.data)](**fields))
        self._sequence += 1
        self._head = hash_event(payload)
        return FleetEvent(self._sequence, deliver_at, payload, self._head)

    def _time_ordered_id(self, at: datetime) -> UUID:
        """A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, the rest from the seed."""
        rest = random_id(self._ids).int & ((1 << 80) - 1)
        value = int(at.timestamp() * 1000) << 80 | rest
        return UUID(int=value & ~(0xF << 76) | 7 << 76)


def _running(random: Random, openings: Sequence[Sequence[Span]]) -> Span:
    """The box is switched on with the office's lights and off after the last has left."""
    first = min(periods[0].begin for periods in openings)
    last = max(periods[-1].end for periods in openings)
    margin = timedelta(minutes=15)
    return Span(
        to_milliseconds(first - margin - minutes_between(random, (0, 10))),
        to_milliseconds(last + margin + minutes_between(random, (0, 10))),
    )
