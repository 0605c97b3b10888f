"""What an event costs to append and to project, by how many events the log holds already.

The log is filled by the fastest honest way with rows shaped like real ones (bodies of real events
of simulated desks, ids and positions of their own, two years of months): PostgreSQL by COPY, SQLite
by its own insert. Then real events of desks that are new come in by the server's own code, without
a broker. At 10⁴ and 10⁶ events always; the part `growth-ten-million` goes on to 10⁷, which needs 20
GB of disk and half an hour, and shows how far it is.
"""

import gc
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple
from uuid import UUID

import uuid6
from rich.progress import Progress
from sqlmodel import Session

from bench.load import make_load
from bench.report import Figure
from bench.server import make_context
from central_server.main import read_clock
from central_server.mqtt.ingest_service import tune_collector
from central_server.services import ingest, projector
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming, file_message
from central_server.services.keys import load_keys
from central_server.storage import event_copies, events, months
from central_server.storage.events import StoredEvent
from central_server.storage.tables import StreamRow, table_of
from event_protocol.canonical import sha256_hex
from tests.processes.postgresql import PostgreSQL

LEVELS = (10**4, 10**6)
MOST = 10**7
BATCH = 1000
BATCHES = 20  # measured at each level
DEVICES = 20  # that are measured at each level, each level's own
FILLED_DEVICES = 1000
MONTHS = 24
COPIED_AT_ONCE = 20_000
MOST_GROWTH = 1.3
MOST_MEMORY_GROWTH_MB = 32  # SQLite's cache of a connection is half of it


class _Cost(NamedTuple):
    """At one level: microseconds an event, and the process's memory behind it in MB."""

    append: float
    project: float
    memory: float


def measure(folder: Path) -> list[Figure]:
    """Both databases at 10⁴ and 10⁶ events."""
    return _measure(folder, LEVELS)


def measure_most(folder: Path) -> list[Figure]:
    """Both databases up to 10⁷ events."""
    return _measure(folder, (*LEVELS, MOST))


def _measure(folder: Path, levels: Sequence[int]) -> list[Figure]:
    figures: list[Figure] = []
    keys = folder / "keys"
    load = make_load(DEVICES * len(levels), BATCH * BATCHES * len(levels), _sealing_key(keys))
    # Devices take turns: each level has all events of its own devices.
    by_level = [
        [Incoming(*one) for number, one in enumerate(load) if _level_of(number, levels) == level]
        for level in range(len(levels))
    ]
    tune_collector()
    with ExitStack() as stack:
        postgresql = stack.enter_context(PostgreSQL(durable=True))
        progress = stack.enter_context(Progress())
        for name, url in (("SQLite", None), ("PostgreSQL", postgresql.new_database())):
            devices = DEVICES * len(levels)
            context = make_context(folder / name, keys, 1883, devices, database_url=url)
            templates = [file_message(one, read_clock()) for one in by_level[0][:5000]]
            shapes = [one for one in templates if isinstance(one, StoredEvent)]
            costs: list[_Cost] = []
            filled = 0
            for level, messages in zip(levels, by_level, strict=True):
                task = progress.add_task(f"{name}: {level:,} events", total=level - filled)
                for count in _fill(context, shapes, filled, level):
                    progress.advance(task, count)
                filled = level
                costs.append(_cost_of(context, messages))
            context.database.close()
            shutil.rmtree(folder / name)
            figures += _figures(name, levels, costs)
    return figures


def _level_of(number: int, levels: Sequence[int]) -> int:
    return number % (DEVICES * len(levels)) // DEVICES


def _sealing_key(keys: Path) -> bytes:
    return load_keys(keys).sealing_public


def _figures(name: str, levels: Sequence[int], costs: Sequence[_Cost]) -> list[Figure]:
    figures = []
    for level, cost in zip(levels, costs, strict=True):
        at = f"{name}, {level:,} events in the log"
        figures += [
            Figure(f"append, {at}", cost.append, "µs", note="an event, median of 20 batches"),
            Figure(f"project, {at}", cost.project, "µs", note="an event, median of 20 batches"),
            Figure(f"memory, {at}", cost.memory, "MB", note="with the load and all imports"),
        ]
    first, last = costs[0], costs[-1]
    span = f"{name}, {levels[0]:,} to {levels[-1]:,} events"
    memory = last.memory - first.memory
    return [
        *figures,
        _limit(f"append grows, {span}", last.append / first.append, "×", MOST_GROWTH),
        _limit(f"project grows, {span}", last.project / first.project, "×", MOST_GROWTH),
        _limit(f"memory grows, {span}", memory, "MB", MOST_MEMORY_GROWTH_MB),
    ]


def _limit(name: str, value: float, unit: str, most: float) -> Figure:
    return Figure(name, value, unit, target=most, is_limit=True)


def _cost_of(context: ServerContext, messages: Sequence[Incoming]) -> _Cost:
    append: list[float] = []
    project: list[float] = []
    for start in range(0, len(messages), BATCH):
        batch = messages[start : start + BATCH]
        began = time.perf_counter()
        receipts = ingest.append(context, batch)
        committed = time.perf_counter()
        streams = {(device, one.epoch) for device, one in receipts}
        projector.project_devices(context, streams)
        append.append((committed - began) / len(batch))
        project.append((time.perf_counter() - committed) / len(batch))
    gc.collect()
    return _Cost(median(append) * 1e6, median(project) * 1e6, _memory_mb())


def _memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def _fill(
    context: ServerContext, shapes: Sequence[StoredEvent], begin: int, end: int
) -> Iterator[int]:
    """Rows number `begin` to `end` of devices that nobody measures; tells how many are there."""
    now = read_clock()
    numbered = enumerate(islice(cycle(shapes), end - begin), begin)
    # So many to each month in turn.
    rows = (
        _row(number, shape, months.month_of(now, -(number // COPIED_AT_ONCE % MONTHS)))
        for number, shape in numbered
    )
    with context.database.transaction() as db:
        if not context.database.is_sqlite:
            all_months = [months.month_of(now, -back) for back in range(MONTHS)]
            months.make_parts(db.connection(), all_months)
    while some := list(islice(rows, COPIED_AT_ONCE)):
        with context.database.transaction() as db:
            _add(db, some)
        yield len(some)
    with context.database.transaction() as db:
        _note_streams(db, end)


def _row(number: int, shape: StoredEvent, received_at: datetime) -> StoredEvent:
    turn, device = divmod(number, FILLED_DEVICES)
    return shape._replace(
        device=f"filled-box-{device}",
        epoch=1,
        sequence=turn + 1,
        event_id=str(UUID(bytes=uuid6.uuid7().bytes)),
        desk=f"filled-desk-{device}",
        time=received_at + timedelta(seconds=number % 2_000_000),
        received_at=received_at,
        hash=sha256_hex(str(number).encode()),
    )


def _add(db: Session, rows: list[StoredEvent]) -> None:
    if db.get_bind().dialect.name == "sqlite":
        events.insert_new(db, rows, {})
    else:
        event_copies.copy_in(db.connection(), sorted(rows))


def _note_streams(db: Session, end: int) -> None:
    """Where those devices' streams stand: received and projected."""
    table = table_of(StreamRow)
    db.connection().execute(table.delete().where(table.c.device.startswith("filled-box-")))
    db.connection().execute(table.insert(), list(_streams(end)))


def _streams(end: int) -> Iterator[dict[str, object]]:
    for device in range(min(FILLED_DEVICES, end)):
        through = (end - device + FILLED_DEVICES - 1) // FILLED_DEVICES
        row = StreamRow(
            device=f"filled-box-{device}",
            epoch=1,
            received_through=through,
            highest_seen=through,
            projected_through=through,
        )
        yield row.model_dump()
