"""Simulated boxes in one process: the agent's own outbox and uplink, and days that were made up.

`boxes FOLDER`: each folder in it is a paired box. `wanted` beside them says how many statements
each shall have made, so that a test can let them rest. A box goes on where its outbox stands.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, islice
from pathlib import Path
from random import Random
from uuid import UUID

from central_server.simulation.days import make_day
from central_server.simulation.habits import DISHONEST
from central_server.simulation.visits import Span
from edge_agent.core.statements import Statement
from edge_agent.delivery.health import HealthReporter
from edge_agent.delivery.identity import Identity
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.outbox_database import OutboxError
from edge_agent.delivery.uplink import Uplink, UplinkTiming
from event_protocol.enrolment import Enrolment
from event_protocol.events import DeviceStarted
from event_protocol.names import DeskId, DeviceId
from event_protocol.sealing import seal

WANTED, JOURNAL, SEED = "wanted", "journal", "seed"
VERSION = "faults"
LOOKS_EVERY_S = 0.05
AT_ONCE = 20  # statements in a transaction
DAYS_AGO = 60  # the first day; further back the server takes the clock for wrong
# As in the field, but ten times as fast: a test has seconds, not minutes.
TIMING = UplinkTiming(resend_after_s=1, telemetry_every_s=1, keepalive_s=2)


def read_clock() -> datetime:
    """The boxes' clock; a test may put a wrong one in its place."""
    return datetime.now(UTC)  # noqa: TID251 - this is a program


@dataclass(frozen=True, slots=True)
class Said:
    """A statement, and the id that others refer to."""

    statement: Statement
    event_id: UUID | None


def say_days(desk: DeskId, seed: str, first: datetime, sealing_key: bytes) -> Iterator[Said]:
    """What a badly behaved desk gives to see and to complain about, day after day."""
    hour = timedelta(hours=1)
    for number in count():
        random = Random(f"{seed}/{number}")  # noqa: S311 - repeatable, not secret
        begin = first + timedelta(days=number)
        opening, running = Span(begin, begin + 8 * hour), Span(begin - hour, begin + 9 * hour)
        for one in make_day(random, desk, DISHONEST, [opening], running).said:
            sealed = None if one.content is None else seal(one.content, sealing_key)
            yield Said(Statement(one.desk, one.at, one.data, sealed), one.event_id)


class Box:
    """One box; `work` is called again and again by the process's one thread."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        identity = Identity(folder)
        enrolment = identity.find_enrolment()
        assert enrolment is not None, f"{folder} was not paired"
        device = DeviceId(enrolment.device)
        self._journal = os.open(folder / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._outbox = Outbox(folder, device, partial(identity.sign_head, device), now)
        self._start(enrolment, now)
        health = HealthReporter(folder, self._outbox, dict, VERSION, now)
        self._uplink = Uplink(enrolment, self._outbox, health, lambda _: None, now, TIMING)
        self._uplink.start()
        stored = self._outbox.read_snapshot(WANTED)
        self._made = 0 if stored is None else int(stored)
        (desk,) = enrolment.configuration.desks
        sealing_key = bytes.fromhex(enrolment.configuration.sealing_public_key)
        first = datetime.fromisoformat((folder / "first_day").read_text())
        told = say_days(desk.desk, (folder / SEED).read_text(), first, sealing_key)
        self._told = islice(told, self._made, None)
        self._following = next(self._told)
        self._some = self._look_ahead()

    def work(self, wanted: int) -> None:
        """Make some of what is still wanted; a full disk is tried again at the next call."""
        while self._made < wanted:
            some = self._some[: wanted - self._made]
            made = str(self._made + len(some)).encode()
            try:
                ids = self._outbox.append(
                    [one.statement for one in some],
                    event_id=some[0].event_id,
                    snapshots={WANTED: made},
                )
            except OutboxError:
                return
            os.write(self._journal, "".join(f"{event_id}\n" for event_id in ids).encode())
            self._made += len(some)
            self._some = self._some[len(some) :] or self._look_ahead()

    def stop(self) -> None:
        """A clean end."""
        self._uplink.stop()
        self._outbox.close()
        os.close(self._journal)

    def _look_ahead(self) -> list[Said]:
        """What goes into the outbox together; feedback comes alone, under its own id."""
        some = [self._following]
        while True:
            self._following = next(self._told)
            is_alone = some[0].event_id is not None or self._following.event_id is not None
            if is_alone or len(some) == AT_ONCE:
                return some
            some.append(self._following)

    def _start(self, enrolment: Enrolment, now: Callable[[], datetime]) -> None:
        desks = tuple(desk.desk for desk in enrolment.configuration.desks)
        data = DeviceStarted(
            agent_version=VERSION,
            platform=VERSION,
            last_run=self._outbox.last_run,
            desks=desks,
            previous_epoch=self._outbox.previous_head,
        )
        self._outbox.append([Statement(None, now(), data)])


def main() -> None:
    """Until SIGTERM."""
    (folder,) = map(Path, sys.argv[1:])
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    boxes = [Box(place, read_clock) for place in sorted(folder.iterdir()) if place.is_dir()]
    while not stopping.wait(LOOKS_EVERY_S):
        wanted = int((folder / WANTED).read_text())
        for box in boxes:
            box.work(wanted)
    for box in boxes:
        box.stop()
