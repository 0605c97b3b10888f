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
from central_server.clock import read_clock
from central_server.mqtt.collector import tune_collector
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
SHAPES = 5000  # real events whose bodies the filled rows have
FILLED_DEVICES, IN_A_ROW = 1000, 1000  # each device's turn is so long, as when a line was down
MONTHS = 24
COPIED_AT_ONCE = 20_000
MOST_GROWTH = 1.3
MOST_MEMORY_GROWTH_MB = 32  # SQLite's cache of a connection is half of it


class _Cost(NamedTuple):
    """At one level: microseconds an event, and by how many MB the process has grown meanwhile."""

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
    tune_collector()
    with PostgreSQL(durable=True) as postgresql:
        url = postgresql.new_database()
        return [
            *measure_one(folder, "SQLite", None, levels),
            *measure_one(folder, "PostgreSQL", url, levels),
        ]


def measure_one(
    folder: Path, name: str, url: str | None, levels: Sequence[int]
) -> Iterator[Figure]:
    """One database, which is filled from level to level; what lies on the disk goes at the end."""
    keys, groups = folder / "keys", len(levels) + 1  # the first warms up what is measured
    devices = DEVICES * groups
    load = make_load(devices, BATCH * BATCHES * groups, load_keys(keys).sealing_public)
    # Devices take turns: each group has all events of its own devices.
    by_group = [
        [Incoming(*one) for number, one in enumerate(load) if number % devices // DEVICES == group]
        for group in range(groups)
    ]
    context = make_context(folder / name, keys, 1883, devices, database_url=url)
    filed = [file_message(one, read_clock()) for one in by_group[0][:SHAPES]]
    shapes = [one for one in filed if isinstance(one, StoredEvent)]
    costs: list[_Cost] = []
    begin = 0
    with Progress() as progress:
        for level, messages in zip(levels, by_group[1:], strict=True):
            task = progress.add_task(f"{name}: {level:,} events", total=level - begin)
            for count in _fill(context, shapes, begin, level):
                progress.advance(task, count)
            if begin == 0:
                _cost_of(context, by_group[0])
            begin = level
            costs.append(_cost_of(context, messages))
    context.database.close()
    shutil.rmtree(folder / name)
    yield from _figures(name, levels, costs)


def _figures(name: str, levels: Sequence[int], costs: Sequence[_Cost]) -> list[Figure]:
    figures = []
    for level, cost in zip(levels, costs, strict=True):
        at = f"{name}, {level:,} events in the log"
        figures += [
            Figure(f"append, {at}", cost.append, "µs", note="an event, median of 20 batches"),
            Figure(f"project, {at}", cost.project, "µs", note="an event, median of 20 batches"),
            Figure(f"memory grows, {at}", cost.memory, "MB", note="by 20,000 events more"),
        ]
    first, last = costs[0], costs[-1]
    span = f"{name}, {levels[0]:,} to {levels[-1]:,} events"
    return [
        *figures,
        _limit(f"append grows, {span}", last.append / first.append, "×", MOST_GROWTH),
        _limit(f"project grows, {span}", last.project / first.project, "×", MOST_GROWTH),
        _limit(f"memory grows, {name}, at the last", last.memory, "MB", MOST_MEMORY_GROWTH_MB),
    ]


def _limit(name: str, value: float, unit: str, most: float) -> Figure:
    how = f"{MOST:,}: PARTS=growth-ten-million, half an hour and more"
    return Figure(name, value, unit, target=most, is_limit=True, note=how)


def _cost_of(context: ServerContext, messages: Sequence[Incoming]) -> _Cost:
    append: list[float] = []
    project: list[float] = []
    gc.collect()
    memory = _memory_mb()
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
    return _Cost(median(append) * 1e6, median(project) * 1e6, _memory_mb() - memory)


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
        if not context.database.is_sqlite:
            db.connection().exec_driver_sql("ANALYZE")  # as PostgreSQL does by itself in time


def _row(number: int, shape: StoredEvent, received_at: datetime) -> StoredEvent:
    turn, device = divmod(number // IN_A_ROW, FILLED_DEVICES)
    return shape._replace(
        device=f"filled-box-{device}",
        epoch=1,
        sequence=turn * IN_A_ROW + number % IN_A_ROW + 1,
        event_id=str(UUID(bytes=uuid6.uuid7().bytes)),
        desk=f"filled-desk-{device}",
        time=received_at + timedelta(seconds=number % 2_000_000),
        received_at=received_at,
        hash=sha256_hex(str(number).encode()),
    )


def _add(db: Session, rows: list[StoredEvent]) -> None:
    """A filled row need not survive a power cut."""
    if db.get_bind().dialect.name == "sqlite":
        events.insert_new(db, rows, {})
    else:
        db.connection().exec_driver_sql("SET LOCAL synchronous_commit = off")
        event_copies.copy_in(db.connection(), sorted(rows))


def _note_streams(db: Session, end: int) -> None:
    """Where those devices' streams stand: received and projected."""
    table = table_of(StreamRow)
    db.connection().execute(table.delete().where(table.c.device.startswith("filled-box-")))
    db.connection().execute(table.insert(), list(_streams(end)))


def _streams(end: int) -> Iterator[dict[str, object]]:
    rounds, rest = divmod(end // IN_A_ROW, FILLED_DEVICES)
    for device in range(FILLED_DEVICES if rounds else rest):
        through = (rounds + (device < rest)) * IN_A_ROW
        row = StreamRow(
            device=f"filled-box-{device}",
            epoch=1,
            received_through=through,
            highest_seen=through,
            projected_through=through,
        )
        yield row.model_dump()
