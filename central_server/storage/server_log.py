"""The server's own chained log: append an entry, read entries in order."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text
from sqlmodel import Session, col, func, select

from central_server.domain.server_log import (
    Entry,
    FeedbackCompleted,
    FeedbackReceived,
    LoggedEntry,
    MessageWritten,
    entry_bytes,
    entry_hash,
    read_entry,
)
from central_server.storage.tables import ServerLogRow
from event_protocol.names import NO_HASH, floor_to_quarter, to_milliseconds

# An exact time beside a camera's picture would name the citizen; it stands in the sealed content.
_QUARTER_ONLY = (FeedbackReceived, FeedbackCompleted, MessageWritten)
_ROWS_AT_ONCE = 1000


def append(db: Session, entry: Entry, *, at: datetime, sealed: str | None = None) -> LoggedEntry:
    """The entry at the log's end, chained; stands once the caller's transaction commits."""
    lock(db)
    last, prevhash = find_tip(db) or (0, NO_HASH)
    sequence = last + 1
    time = floor_to_quarter(at) if isinstance(entry, _QUARTER_ONLY) else to_milliseconds(at)
    logged = LoggedEntry(sequence, uuid4(), time, prevhash, entry, sealed)
    body = entry_bytes(logged)
    db.add(
        ServerLogRow(
            sequence=sequence,
            entry_id=str(logged.entry_id),
            type=entry.type,
            time=time,
            prevhash=prevhash,
            hash=entry_hash(body),
            body=body,
            sealed=sealed,
        )
    )
    db.flush()
    return logged


def find_tip(db: Session) -> tuple[int, str] | None:
    """Number and hash of the newest entry; `None` while there is none."""
    newest = select(ServerLogRow.sequence, ServerLogRow.hash)
    return db.exec(newest.order_by(col(ServerLogRow.sequence).desc()).limit(1)).first()


def lock(db: Session) -> None:
    """One writer of the chain at a time; on SQLite the transaction already is the only one.

    Taken first where an entry depends on what was read before it (is the flag still open? has the
    form counted?), and before any other lock, so that no two writers wait for each other.
    """
    if db.get_bind().dialect.name == "postgresql":
        db.execute(text("LOCK TABLE server_log IN EXCLUSIVE MODE"))


def read_after(db: Session, sequence: int) -> Iterator[LoggedEntry]:
    """All entries behind that one (0: from the start), in order, without holding all in memory."""
    for row in read_rows(db, sequence):
        yield _from_row(row)


def read_rows(db: Session, after: int = 0) -> Iterator[ServerLogRow]:
    """The rows as they stand, for who must not trust them."""
    yield from db.exec(
        select(ServerLogRow)
        .where(col(ServerLogRow.sequence) > after)
        .order_by(col(ServerLogRow.sequence))
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )


def count(db: Session) -> int:
    """How many entries there are."""
    return db.exec(select(func.count()).select_from(ServerLogRow)).one()


def find(db: Session, sequence: int) -> LoggedEntry | None:
    """The entry at that place of the log."""
    row = db.get(ServerLogRow, sequence)
    return None if row is None else _from_row(row)


def last_sequence_of(db: Session, kind: str) -> int:
    """Where the newest entry of that type stands; 0 if there is none."""
    newest = select(func.max(ServerLogRow.sequence)).where(ServerLogRow.type == kind)
    return db.exec(newest).one() or 0


def _from_row(row: ServerLogRow) -> LoggedEntry:
    """What the chained bytes say; the row's other columns only serve queries."""
    body = orjson.loads(row.body)
    return LoggedEntry(
        sequence=body["sequence"],
        entry_id=UUID(body["id"]),
        time=datetime.fromisoformat(body["time"]),
        prevhash=body["prevhash"],
        entry=read_entry(body["data"]),
        sealed=row.sealed,
    )
