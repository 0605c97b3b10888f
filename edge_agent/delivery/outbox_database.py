"""The outbox's SQLite file: opened whole, or moved aside and begun anew. Knows no network."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from edge_agent.delivery.chain_head import ChainHead
from edge_agent.delivery.files import flush_folder
from event_protocol.codec import hash_event
from event_protocol.events import EpochHead, LastRun
from event_protocol.names import NO_HASH, DeviceId, format_time

FILE_NAME = "outbox.sqlite"
BUSY_TIMEOUT_S = 5.0

# `receipted_on` is a day, not a time: the box shall not remember when somebody spoke.
SCHEMA = """
CREATE TABLE chain (
    device TEXT NOT NULL, epoch INTEGER NOT NULL, boot INTEGER NOT NULL, running INTEGER NOT NULL,
    previous_epoch INTEGER, previous_sequence INTEGER, previous_hash TEXT,
    receipted_through INTEGER NOT NULL DEFAULT 0, receipted_at TEXT
) STRICT;
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL, hash TEXT NOT NULL,
    is_checkpoint INTEGER NOT NULL, receipted_on TEXT
) STRICT;
CREATE TABLE snapshots (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """What the database says of itself when it is opened, before this run changes anything."""

    epoch: int
    boot: int
    last_run: LastRun
    previous: EpochHead | None  # where the epoch before ended
    checkpoint: int  # number of the newest checkpoint, 0 if there is none


class OutboxError(Exception):
    """The outbox can't keep what it was given (disk full, locked, broken); nothing was written."""


class OutboxFullError(OutboxError):
    """It can't be kept because the disk is full."""


def explain(error: sqlite3.Error) -> OutboxError:
    """What SQLite's fault means to those who gave something to keep."""
    # A disk that is full may also show as a failed write, as may a quota.
    is_full = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return OutboxFullError(str(error)) if is_full else OutboxError(str(error))


class _UnusableError(Exception):
    """The database is no continuation of what the head file remembers; says why."""


def open_database(
    folder: Path, device: DeviceId, remembered: ChainHead | None, now: datetime
) -> sqlite3.Connection:
    """The outbox of `device` in `folder`, continuing the chain that `remembered` names.

    A database that is broken, of another device, or older than the head file is moved aside, kept,
    and a new epoch is begun. Raises `OutboxError` if the file can't be used at all.
    """
    path = folder / FILE_NAME
    is_new = not path.exists() or path.stat().st_size == 0
    if not is_new:
        try:
            return _open_existing(path, device, remembered)
        except _UnusableError as error:
            kept = _move_aside(path, now)
            log.error("outbox_moved_aside", reason=str(error), kept=kept.name)
    try:
        return _create(path, device, remembered, now)
    except sqlite3.Error as error:
        raise OutboxError(f"{path}: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _open_existing(
    path: Path, device: DeviceId, remembered: ChainHead | None
) -> sqlite3.Connection:
    connection = None
    try:
        connection = _connect(path)
        _check(connection, device, remembered)
    except sqlite3.OperationalError as error:
        # Locked, unreadable or full: the file may be sound, so it must not be thrown away.
        if connection is not None:
            connection.close()
        raise OutboxError(f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        raise _UnusableError(f"broken: {error}") from error
    except _UnusableError:
        if connection is not None:
            connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, device: DeviceId, remembered: ChainHead | None) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _UnusableError(f"broken: {verdict}")
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        raise _UnusableError("no tables: the run that made it ended too early")
    row = connection.execute("SELECT device, epoch FROM chain").fetchone()
    if row is None or row[0] != device:
        raise _UnusableError("made by another device")
    head = read_last(connection)
    if head is not None and hash_event(head[2]) != head[1]:
        raise _UnusableError("its last event is not what its hash says")
    if remembered is not None and remembered.device == device:
        have = (row[1], 0 if head is None else head[0])
        if have < (remembered.head.epoch, remembered.head.sequence):
            # An old copy was put back. Its next numbers are already taken by other events.
            raise _UnusableError("older than the head file remembers")


def read_last(connection: sqlite3.Connection) -> tuple[int, str, bytes] | None:
    """Sequence, hash and body of the newest event that is kept."""
    row: tuple[int, str, bytes] | None = connection.execute(
        "SELECT sequence, hash, body FROM events ORDER BY sequence DESC LIMIT 1"
    ).fetchone()
    return row


def _create(
    path: Path, device: DeviceId, remembered: ChainHead | None, now: datetime
) -> sqlite3.Connection:
    before: EpochHead | None = None
    boot = 0
    if remembered is not None and remembered.device == device:
        before, boot = remembered.head, remembered.boot
    epoch = max(0 if before is None else before.epoch + 1, int(now.timestamp()), 1)
    connection = _connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO chain (device, epoch, boot, running, previous_epoch, previous_sequence,"
            " previous_hash) VALUES (?, ?, ?, 0, ?, ?, ?)",
            (device, epoch, boot)
            + (
                (None, None, None)
                if before is None
                else (before.epoch, before.sequence, before.hash)
            ),
        )
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.close()
        raise
    flush_folder(path.parent)
    log.info("outbox_created", epoch=epoch, continues=None if before is None else before.epoch)
    return connection


def _move_aside(path: Path, now: datetime) -> Path:
    """Rename the database and its companions so that somebody can still look at them."""
    kept = path.with_name(f"{path.stem}.aside-{now:%Y%m%dT%H%M%S%f}{path.suffix}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(kept.with_name(kept.name + suffix))
    flush_folder(path.parent)
    return kept


def mark_receipted(connection: sqlite3.Connection, through: int, at: datetime) -> None:
    """All up to `through` has its receipt of that time, and what lies behind has none."""
    (known,) = connection.execute("SELECT receipted_through FROM chain").fetchone()
    connection.execute(
        "UPDATE chain SET receipted_through = ?, receipted_at = ?", (through, format_time(at))
    )
    # One of the two spans is empty; both follow the primary key.
    spans = ((at.date().isoformat(), known, through), (None, through, known))
    connection.executemany(
        "UPDATE events SET receipted_on = ? WHERE sequence > ? AND sequence <= ?", spans
    )


def last_hash(connection: sqlite3.Connection) -> tuple[int, str]:
    """The number of the newest event and the hash that the next one carries."""
    last = read_last(connection)
    if last is not None:
        return last[0], last[1]
    with closing(connection.execute("SELECT previous_hash FROM chain")) as cursor:
        return 0, cursor.fetchone()[0] or NO_HASH


def read_chain(connection: sqlite3.Connection) -> ChainRecord:
    """The database's record of its epoch and runs."""
    epoch, boot, running, *previous = connection.execute(
        "SELECT epoch, boot, running, previous_epoch, previous_sequence, previous_hash FROM chain"
    ).fetchone()
    (checkpoint,) = connection.execute(
        "SELECT coalesce(max(sequence), 0) FROM events WHERE is_checkpoint"
    ).fetchone()
    before = None
    if previous[0] is not None:
        before = EpochHead(epoch=previous[0], sequence=previous[1], hash=previous[2])
    # The first run of a database that follows another: how the last one ended nobody can say.
    was_killed = running or (before is not None and last_hash(connection)[0] == 0)
    last_run = LastRun.KILLED if was_killed else LastRun.FIRST if boot == 0 else LastRun.CLEAN
    return ChainRecord(epoch, boot, last_run, before, checkpoint)
