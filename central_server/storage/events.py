"""The event log: batches in, contiguous stretches out. Rows are only ever added."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, tuple_
from sqlalchemy.dialects import sqlite
from sqlmodel import Session

from central_server.storage import event_copies
from central_server.storage.tables import EventRow, table_of

_EVENT = table_of(EventRow)
_AT = (_EVENT.c.device, _EVENT.c.epoch, _EVENT.c.sequence)
_ASKED_AT_ONCE = 5000  # three parameters each; SQLite takes 32,766 in one statement
_ROWS_AT_ONCE = 1000
_ID_LETTERS = 36
_NAMED = select(_EVENT.c.device, _EVENT.c.event_id).where(
    tuple_(_EVENT.c.device, _EVENT.c.event_id).in_(bindparam("names", expanding=True))
)

Place = tuple[str, int, int]  # device, epoch, sequence
_place = itemgetter(0, 1, 2)


class StoredEvent(NamedTuple):
    """One occupied position; `type` is `None` and `reason` is set if the content is unreadable."""

    device: str
    epoch: int
    sequence: int
    event_id: str | None
    type: str | None
    desk: str | None
    time: datetime | None
    received_at: datetime
    clock: str
    reason: str | None
    prevhash: str | None
    hash: str
    body: bytes
    sealed: str | None


def positions_since(db: Session, device: str, at: datetime) -> list[tuple[int, int, int]]:
    """Epoch, first and last number of what has arrived of that device since then."""
    number = _EVENT.c.sequence
    statement = (
        select(_EVENT.c.epoch, func.min(number), func.max(number))
        .where(_EVENT.c.device == device, _EVENT.c.received_at >= at)
        .group_by(_EVENT.c.epoch)
        .order_by(_EVENT.c.epoch)
    )
    return [(epoch, first, last) for epoch, first, last in db.connection().execute(statement)]


_TIME = StoredEvent._fields.index("time")  # behind it stands `received_at`
_UTC = "+00:00"
_COLUMNS = [_EVENT.c[name] for name in StoredEvent._fields]
# Handing the driver finished rows takes a third of what SQLAlchemy's conversion of each value
# does, and this statement is the hottest of all.
_SQLITE_INSERT = str(
    sqlite.insert(_EVENT).on_conflict_do_nothing().compile(dialect=sqlite.dialect())
)
_ONE_ROW = f"({', '.join('?' * len(_COLUMNS))})"
# In one statement: row by row, the driver lets go of the interpreter's lock at each row and waits
# for its turn again; with the other threads at work an insert took three times as long.
_INSERTED_AT_ONCE = 250  # of 14 values each; SQLite takes 32,766 values in one statement


def insert_new(
    db: Session, rows: Sequence[StoredEvent], newest_ids: Mapping[str, str | None]
) -> int:
    """Adds those whose position and id are both unknown; returns how many.

    The caller holds the streams' heads, has looked up positions that are not above all that were
    seen, and names each device's newest id, see `event_copies`.
    """
    if not rows:
        return 0
    # In the table's own order a third less is to be done: neighbours share their pages.
    ordered = sorted(rows, key=_place)
    connection = db.connection()
    if connection.dialect.name == "sqlite":
        return sum(
            _insert_in_sqlite(connection, ordered[start : start + _INSERTED_AT_ONCE])
            for start in range(0, len(ordered), _INSERTED_AT_ONCE)
        )
    return event_copies.add(connection, _without_known_ids(connection, ordered, newest_ids))


def _without_known_ids(
    connection: Connection, rows: Sequence[StoredEvent], newest_ids: Mapping[str, str | None]
) -> list[StoredEvent]:
    """The rows whose ids stand nowhere yet: neither in any month, nor twice here.

    An id that tells a time later than all ids of its device is new without asking, as a position
    above all that were seen is.
    """
    first: dict[tuple[str, str], StoredEvent] = {}
    fresh = [
        row
        for row in rows
        if row.event_id is None or first.setdefault((row.device, row.event_id), row) is row
    ]
    asked = [name for name in first if not _is_newer_id(name[1], newest_ids.get(name[0]))]
    known: set[tuple[str, str]] = set()
    for start in range(0, len(asked), _ASKED_AT_ONCE):
        some = {"names": asked[start : start + _ASKED_AT_ONCE]}
        known.update((device, name) for device, name in connection.execute(_NAMED, some))
    return [row for row in fresh if (row.device, row.event_id) not in known] if known else fresh


def newest_id(rows: Iterable[StoredEvent], before: str | None) -> str | None:
    """The highest id that tells its time, of these rows of one stream and of those `before`."""
    newer = [row.event_id for row in rows if row.event_id and _is_newer_id(row.event_id, before)]
    return max(newer, default=before)


def _is_newer_id(event_id: str, newest: str | None) -> bool:
    """Whether it tells its time (UUIDv7) and is above `newest`, the highest such id so far."""
    return len(event_id) == _ID_LETTERS and event_id[14] == "7" and event_id > (newest or "")


def find_hashes(db: Session, places: Iterable[Place]) -> dict[Place, str]:
    """The hash that stands at each of those positions; empty positions are left out."""
    found: dict[Place, str] = {}
    rest = iter(places)
    while some := list(islice(rest, _ASKED_AT_ONCE)):
        statement = select(*_AT, _EVENT.c.hash).where(tuple_(*_AT).in_(some))
        found.update(
            ((device, epoch, sequence), digest)
            for device, epoch, sequence, digest in db.connection().execute(statement)
        )
    return found


def read_contiguous(db: Session, device: str, epoch: int, after: int) -> Iterator[StoredEvent]:
    """The events behind position `after`, in order, up to the first empty position."""
    expected = after + 1
    for row in _read(db, device, epoch, after, _COLUMNS):
        event = StoredEvent._make(row)
        if event.sequence != expected:
            return
        yield event
        expected += 1


def read_stream(db: Session, device: str, epoch: int) -> Iterator[StoredEvent]:
    """All events of one stream in order, whatever is missing between them."""
    for row in _read(db, device, epoch, 0, _COLUMNS):
        yield StoredEvent._make(row)


def list_devices(db: Session) -> list[str]:
    """Every device that the log holds anything of."""
    statement = select(_EVENT.c.device).distinct().order_by(_EVENT.c.device)
    return list(db.connection().execute(statement).scalars())


def list_epochs(db: Session, device: str) -> list[int]:
    """That device's epochs in the log, oldest first."""
    statement = select(_EVENT.c.epoch).where(_EVENT.c.device == device).distinct()
    return list(db.connection().execute(statement.order_by(_EVENT.c.epoch)).scalars())


def count(db: Session) -> int:
    """How many positions are occupied, of all devices."""
    return db.connection().execute(select(func.count()).select_from(_EVENT)).scalar_one()


def contiguous_head(
    db: Session, device: str, epoch: int, through: int, digest: str | None
) -> tuple[int, str | None]:
    """How far the rows now go on without a hole behind `through`, and the last one's hash."""
    for sequence, row_hash in _read(db, device, epoch, through, [_EVENT.c.sequence, _EVENT.c.hash]):
        if sequence != through + 1:
            break
        through, digest = sequence, row_hash
    return through, digest


def first_after(db: Session, device: str, epoch: int, after: int) -> int | None:
    """The lowest occupied position behind `after`."""
    statement = (
        select(_EVENT.c.sequence)
        .where(_EVENT.c.device == device, _EVENT.c.epoch == epoch, _EVENT.c.sequence > after)
        .order_by(_EVENT.c.sequence)
        .limit(1)
    )
    return db.connection().execute(statement).scalar()


def _read(
    db: Session, device: str, epoch: int, after: int, columns: Sequence[Any]
) -> Iterator[Any]:
    statement = (
        select(*columns)
        .where(_EVENT.c.device == device, _EVENT.c.epoch == epoch, _EVENT.c.sequence > after)
        .order_by(_EVENT.c.sequence)
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    with db.connection().execute(statement) as rows:
        yield from rows


def _insert_in_sqlite(connection: Connection, rows: Sequence[StoredEvent]) -> int:
    received = {at: _time_text(at) for at in {row.received_at for row in rows}}
    # In the column order of the table, times as `UtcDateTime` writes them there.
    values = [
        (
            *row[:_TIME],
            None if row.time is None else _time_text(row.time),
            received[row.received_at],
            *row[_TIME + 2 :],
        )
        for row in rows
    ]
    statement = _SQLITE_INSERT.replace(_ONE_ROW, ", ".join([_ONE_ROW] * len(rows)))
    return connection.exec_driver_sql(statement, tuple(chain.from_iterable(values))).rowcount


def _time_text(at: datetime) -> str:
    text = at.isoformat(" ", "microseconds")
    if text.endswith(_UTC):  # as almost all are; converting takes three times as long
        return text.removesuffix(_UTC)
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
