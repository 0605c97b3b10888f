"""A reconnect storm: all boxes of a province come back at once, each with a full outbox."""

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from sqlmodel import col, func, select

from central_server.services import broker_accounts
from central_server.storage import registry
from central_server.storage.tables import DeskRow, DeviceRow, EventRow
from event_protocol.names import NO_HASH
from tests.faults.boxes import DAYS_AGO
from tests.faults.fleet import REPOSITORY
from tests.faults.world import World
from tests.processes.ports import wait_until
from tests.processes.program import Program

PASSWORD = "of all boxes in the storm"
BOXES_A_PROCESS = 750  # each with a socket: below 1,024 open files


class StormWorld(World):
    """A world whose boxes are `names`: registered, but not paired one by one for minutes."""

    def __init__(self, folder: Path, kind: str, seed: int, names: list[str]) -> None:
        self.names = names
        super().__init__(folder, kind, seed, boxes=0)

    def _register(self) -> None:
        super()._register()
        now, hashed = self.context.now(), broker_accounts.hash_password(PASSWORD)
        rows: list[DeviceRow | DeskRow] = [
            DeviceRow(
                device_id=name,
                unit_id="ward",
                public_key=NO_HASH,
                paired_at=now,
                password_hash=hashed,
            )
            for name in self.names
        ]
        rows += [
            DeskRow(
                desk_id=f"desk-{name}", unit_id="ward", name=name, device_id=name, token_key=NO_HASH
            )
            for name in self.names
        ]
        with self.context.database.transaction() as db:
            registry.save(db, rows)
        broker_accounts.write_password_file(self.context)

    def count_stored(self) -> int:
        """Events in the log."""
        with self.context.database.reading() as db:
            return db.exec(select(func.count(col(EventRow.sequence)))).one()


@contextmanager
def open_files_at_most(soft: int) -> Iterator[None]:
    """What is started within begins with that limit, as under a plain shell; it may raise it."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def storm(
    folder: Path, kind: str, seed: int, *, boxes: int, events: int, open_files: int, within_s: float
) -> float:
    """Seconds from the first connection to the last receipt; asserts that all is stored once."""
    names = [f"storm-{number:05d}" for number in range(boxes)]
    with open_files_at_most(open_files), ExitStack() as stack:
        world = stack.enter_context(StormWorld(folder / "world", kind, seed, names))
        clouds = []
        for first in range(0, boxes, BOXES_A_PROCESS):
            part = names[first : first + BOXES_A_PROCESS]
            clouds.append(stack.enter_context(_make_cloud(world, part, events)))
        began = time.monotonic()
        for cloud in clouds:
            cloud.begin()
        for cloud in clouds:
            assert cloud.wait(within_s) == 0, cloud.output[-2000:]
        took_s = time.monotonic() - began
        wait_until(lambda: world.count_stored() == boxes * events, 5, "each event is there once")
        return took_s


class Cloud(Program):
    """One process of boxes; they fill their outboxes first, and connect when told to."""

    def __init__(self, file: Path, port: int) -> None:
        self._file = file
        arguments = [sys.executable, "-m", "tests.faults.storm_boxes", str(file), str(port)]
        super().__init__(arguments, file.with_suffix(".log"), cwd=REPOSITORY)

    def begin(self) -> None:
        """Once all outboxes are full, connect."""
        wait_until(self._file.with_suffix(".ready").exists, 300, "full outboxes", 0.2)
        self._file.with_suffix(".go").touch()


def _make_cloud(world: StormWorld, names: list[str], events: int) -> Cloud:
    midnight = world.context.now().replace(hour=0, minute=0, second=0, microsecond=0)
    file = world.folder / f"cloud-{names[0]}.json"
    file.write_text(
        json.dumps(
            {
                "devices": names,
                "password": PASSWORD,
                "events": events,
                "seed": world.seed,
                "begin": (midnight - timedelta(days=DAYS_AGO)).isoformat(),
                "sealing_key": world.context.keys.sealing_public.hex(),
                "signing_key": world.context.keys.signing_public.hex(),
            }
        )
    )
    return Cloud(file, world.port)
