"""A fleet of simulated boxes as the test sees it: their folders, their program, what they made."""

import shutil
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from central_server.services import enrolment
from central_server.services.context import ServerContext
from edge_agent.delivery.identity import Identity
from event_protocol.enrolment import Enrolment, EnrolmentRequest
from event_protocol.names import DeviceId
from tests.faults.boxes import DAYS_AGO, JOURNAL, SEED, VERSION, WANTED
from tests.faults.dying import CLOCK
from tests.processes.program import Program

REPOSITORY = Path(__file__).resolve().parents[2]
Position = tuple[str, int, int]  # device, epoch, number of its newest event


class Fleet(Program):
    """Boxes in `folder`, one process for all; killed and started like any program."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.clock = folder / "clock"
        self.clock.write_text("0")
        self.wanted = 0
        self.say(0)
        super().__init__(
            [sys.executable, "-m", "tests.faults.dying", "boxes", folder],
            folder / "boxes.log",
            {CLOCK: str(self.clock)},
            REPOSITORY,
        )

    def pair(self, context: ServerContext, devices: Sequence[DeviceId], seed: int) -> None:
        """Give each device a box in this fleet, as an installer would."""
        midnight = context.now().replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight - timedelta(days=DAYS_AGO)
        for device in devices:
            place = self.folder / device
            place.mkdir()
            identity = Identity(place)
            request = EnrolmentRequest(
                code=enrolment.make_code(context, device),
                public_key=identity.public_key.hex(),
                agent_version=VERSION,
            )
            identity.store_enrolment(enrolment.enrol(context, request))
            (place / SEED).write_text(f"{seed}/{device}")
            (place / "first_day").write_text(first.isoformat())

    def connect_through(self, port: int) -> None:
        """All reach the broker at that port."""
        for place in self.places():
            identity = Identity(place)
            paired = identity.find_enrolment()
            assert paired is not None
            broker = paired.broker.model_copy(update={"port": port})
            identity.store_enrolment(paired.model_copy(update={"broker": broker}))

    def copy_of(self, device: str, folder: Path) -> "Fleet":
        """A second box that was paired as that device: its disk was copied before the first run."""
        twin = Fleet(folder)
        source, place = self.folder / device, twin.folder / device
        place.mkdir()
        for name in ("device.key", "enrolment.json", "first_day"):
            shutil.copy(source / name, place / name)
        (place / SEED).write_text(f"twin/{(source / SEED).read_text()}")
        return twin

    def say(self, more: int) -> None:
        """Let each box make so many statements more."""
        self.wanted += more
        (self.folder / f"{WANTED}.new").write_text(str(self.wanted))
        (self.folder / f"{WANTED}.new").rename(self.folder / WANTED)

    def places(self) -> list[Path]:
        """The boxes' folders."""
        return sorted(place for place in self.folder.iterdir() if place.is_dir())

    def enrolment_of(self, device: str) -> Enrolment:
        """What pairing brought that box."""
        paired = Identity(self.folder / device).find_enrolment()
        assert paired is not None
        return paired

    @property
    def has_said_all(self) -> bool:
        """Whether every box has made what was wanted of it."""
        query = f"SELECT CAST(body AS TEXT) FROM snapshots WHERE name = '{WANTED}'"  # noqa: S608 - ours
        return all(
            self._ask(place, query) == [(str(self.wanted),)] or self.wanted == 0
            for place in self.places()
        )

    def tips(self) -> list[Position]:
        """Where each box's chain stands."""
        query = "SELECT device, epoch, (SELECT coalesce(max(sequence), 0) FROM events) FROM chain"
        return [row for place in self.places() for row in self._ask(place, query)]

    def waiting(self) -> int:
        """Events without a receipt, of all boxes."""
        query = (
            "SELECT (SELECT coalesce(max(sequence), 0) FROM events) - receipted_through FROM chain"
        )
        return sum(row[0] for place in self.places() for row in self._ask(place, query))

    def produced(self) -> set[str]:
        """The ids of all events that these boxes ever took responsibility for."""
        ids: set[str] = set()
        for place in self.places():
            ids |= {row[0] for row in self._ask(place, "SELECT id FROM events")}
            ids |= set((place / JOURNAL).read_text().split())
        return ids

    def bodies_waiting(self, device: str) -> list[bytes]:
        """That box's events without a receipt, as it would publish them."""
        query = (
            "SELECT body FROM events, chain WHERE sequence > receipted_through ORDER BY sequence"
        )
        return [bytes(row[0]) for row in self._ask(self.folder / device, query)]

    def _ask(self, place: Path, query: str) -> list[tuple]:  # type: ignore[type-arg] # as SQL says
        file = place / "outbox.sqlite"
        if not file.exists():
            return []
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            # A box that was killed while it made its outbox left a file without tables.
            if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
                return []
            return connection.execute(query).fetchall()
