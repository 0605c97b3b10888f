"""The durable queue between what is seen and the server: numbered, chained, on disk before sending.

Rows leave only by the server's signed receipt, and stay some days after it for a server that was
restored from a backup. Knows nothing of MQTT.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self, TypeVar
from uuid import UUID

import structlog
from pydantic import TypeAdapter

from edge_agent.core.statements import Statement
from edge_agent.delivery.chain_head import ChainHead, read_head, write_head
from edge_agent.delivery.chaining import ChainedEvent, ChainTip, chain
from edge_agent.delivery.outbox_database import (
    OutboxError,
    OutboxFullError,
    explain,
    last_hash,
    mark_receipted,
    open_database,
    read_chain,
)
from edge_agent.delivery.receipts import BELIEVED, ReceiptOutcome, judge
from edge_agent.delivery.reserve import Reserve
from event_protocol.events import (
    DeviceCheckpoint,
    DeviceStarted,
    EpochHead,
    FeedbackAmended,
    FeedbackSubmitted,
)
from event_protocol.messages import Receipt, ReceiptFault
from event_protocol.names import DeviceId, UtcTime

CHECKPOINT_EVERY_EVENTS = 100
CHECKPOINT_EVERY = timedelta(minutes=15)
# These get the last room of a full disk; without its start a box would not even have a kiosk.
_COMES_FIRST = (FeedbackSubmitted, FeedbackAmended, DeviceStarted)
T = TypeVar("T")

_TIME: TypeAdapter[datetime] = TypeAdapter(UtcTime)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as it will be published."""

    sequence: int
    body: bytes


class Outbox:
    """Used by several threads at once: cameras and kiosk append, one uplink reads and receipts.

    `sign_head(epoch, through, hash)` signs the chain's head for checkpoints; `now` is the clock.
    `changed` is set at each append, so that the uplink need not poll. Raises `OutboxError`.
    """

    def __init__(
        self,
        folder: Path,
        device: DeviceId,
        sign_head: Callable[[int, int, str], str],
        now: Callable[[], datetime],
        keep_receipted: timedelta = timedelta(days=14),
        reserve: Reserve | None = None,
    ) -> None:
        self.changed = threading.Event()
        # As the uplink learns them: the server's clock minus ours, what is wrong with its receipts.
        self.clock_offset_ms: int | None = None
        self.receipt_fault: ReceiptFault | None = None
        self._folder = folder
        self._sign_head = sign_head
        self._now = now
        self._keep_receipted = keep_receipted
        self._cleaned_on: date | None = None  # old receipted events are deleted once a day
        self._reserve = reserve or Reserve(folder)
        self._lock = threading.RLock()
        remembered = read_head(folder)
        self._connection = open_database(folder, device, remembered, now())
        record = read_chain(self._connection)
        boot = record.boot + 1
        self._tip = ChainTip(device, record.epoch, boot, *last_hash(self._connection))
        # Only the first event of an epoch names the epoch before.
        self.previous_head = record.previous if self._tip.sequence == 0 else None
        self.last_run = record.last_run
        self._reserve.hold()
        self._with_last_room(partial(self._note_run, boot, True))
        self._checkpoint_due_at = now() + CHECKPOINT_EVERY
        self._events_since_checkpoint = self._tip.sequence - record.checkpoint

    def append(
        self,
        statements: Sequence[Statement],
        *,
        snapshots: Mapping[str, bytes] | None = None,
        event_id: UUID | None = None,
    ) -> list[UUID]:
        """Store statements as events, with the trackers' state, in one transaction; their ids.

        `event_id` is the id of a single feedback statement: stored once however often it comes,
        and not among the ids if it is known. On a full disk only feedback is stored.
        Raises `OutboxError`, and then nothing at all was written.
        """
        with self._lock:
            write = partial(self._append, statements, snapshots or {}, event_id)
            if statements and all(isinstance(one.data, _COMES_FIRST) for one in statements):
                ids = self._with_last_room(write)
            elif self._reserve.hold():
                ids = write()
            else:
                raise OutboxFullError("the disk is full: the last room is left for feedback")
        self.changed.set()
        return ids

    def read_snapshot(self, name: str) -> bytes | None:
        """The state that was stored under `name` with the last append that named it."""
        with self._lock:
            row = self._connection.execute(
                "SELECT body FROM snapshots WHERE name = ?", (name,)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def read(self, first: int, last: int) -> list[StoredEvent]:
        """Kept events numbered `first` to `last`, both included, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT sequence, body FROM events WHERE sequence BETWEEN ? AND ?"
                " ORDER BY sequence",
                (first, last),
            ).fetchall()
        return [StoredEvent(sequence, body) for sequence, body in rows]

    @property
    def tip(self) -> ChainTip:
        """Where the chain stands: device, epoch, boot and the newest event."""
        return self._tip

    @property
    def receipted_through(self) -> int:
        """The number up to which the server said, signed, that it holds everything."""
        with self._lock:
            row = self._connection.execute("SELECT receipted_through FROM chain").fetchone()
        return int(row[0])

    @property
    def depth(self) -> int:
        """How many events still wait for a receipt."""
        with self._lock:
            return self._tip.sequence - self.receipted_through

    def apply_receipt(self, receipt: Receipt) -> ReceiptOutcome:
        """Take note of a receipt whose signature was verified; raises `OutboxError`."""
        with self._lock:
            outcome = self._judge(receipt)
            if outcome in BELIEVED:
                self._record(receipt)
        return outcome

    def close(self, *, is_clean: bool = True) -> None:
        """End the run; `is_clean` lets the next start say so."""
        with self._lock:
            # On a full disk the next start says that this run was killed: near enough.
            with suppress(OutboxError):
                if is_clean:
                    self._note_run(self._tip.boot, False)
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(is_clean=kind is None)

    def _append(
        self,
        statements: Sequence[Statement],
        snapshots: Mapping[str, bytes],
        event_id: UUID | None,
    ) -> list[UUID]:
        with self._transaction():
            if event_id is not None and self._has(event_id):
                return []
            tip, events = chain(
                self._tip, statements, clock_offset_ms=self.clock_offset_ms, event_id=event_id
            )
            ids = [event.event_id for event in events]
            if self._is_checkpoint_due(len(events)):
                tip, checkpoint = self._chain_checkpoint(tip)
                events += checkpoint
            self._insert(events)
            self._connection.executemany(
                "INSERT OR REPLACE INTO snapshots (name, body) VALUES (?, ?)",
                list(snapshots.items()),
            )
        self._advance(tip, events)
        return ids

    def _is_checkpoint_due(self, added: int) -> bool:
        count = self._events_since_checkpoint + added
        return added > 0 and (
            count >= CHECKPOINT_EVERY_EVENTS or self._now() >= self._checkpoint_due_at
        )

    def _chain_checkpoint(self, tip: ChainTip) -> tuple[ChainTip, list[ChainedEvent]]:
        data = DeviceCheckpoint(
            through=tip.sequence,
            hash=tip.hash,
            signature=self._sign_head(tip.epoch, tip.sequence, tip.hash),
        )
        statement = Statement(None, self._now(), data)
        return chain(tip, [statement], clock_offset_ms=self.clock_offset_ms)

    def _insert(self, events: Sequence[ChainedEvent]) -> None:
        self._connection.executemany(
            "INSERT INTO events (sequence, id, body, hash, is_checkpoint) VALUES (?, ?, ?, ?, ?)",
            [(e.sequence, str(e.event_id), e.body, e.hash, e.is_checkpoint) for e in events],
        )

    def _advance(self, tip: ChainTip, events: Sequence[ChainedEvent]) -> None:
        """Only after the commit: a number that was not stored must be given again."""
        if not events:
            return
        self._tip = tip
        self.previous_head = None
        self._events_since_checkpoint += len(events)
        if events[-1].is_checkpoint:
            self._events_since_checkpoint = 0
            self._checkpoint_due_at = self._now() + CHECKPOINT_EVERY
        head = EpochHead(epoch=tip.epoch, sequence=tip.sequence, hash=tip.hash)
        try:
            write_head(self._folder, ChainHead(device=tip.device, boot=tip.boot, head=head))
        except OSError as error:
            # The event is safe; only the second memory of the head is behind.
            log.warning("chain_head_not_written", reason=error.strerror)

    def _has(self, event_id: UUID) -> bool:
        found = self._connection.execute("SELECT 1 FROM events WHERE id = ?", (str(event_id),))
        return found.fetchone() is not None

    def _judge(self, receipt: Receipt) -> ReceiptOutcome:
        hash_there, known, known_at = self._connection.execute(
            "SELECT (SELECT hash FROM events WHERE sequence = ?), receipted_through, receipted_at"
            " FROM chain",
            (receipt.through,),
        ).fetchone()
        at = None if known_at is None else _TIME.validate_python(known_at)
        return judge(receipt, self._tip, hash_there, known, at)

    def _record(self, receipt: Receipt) -> None:
        # The server's day: a box without a battery for its clock may believe in any other.
        today = receipt.server_time.date()
        with self._transaction() as connection:
            mark_receipted(connection, receipt.through, receipt.server_time)
            if today != self._cleaned_on:
                # The newest event stays: its hash is where the chain goes on.
                connection.execute(
                    "DELETE FROM events WHERE receipted_on < ? AND sequence < ?",
                    ((today - self._keep_receipted).isoformat(), self._tip.sequence),
                )
        self._cleaned_on = today

    def _with_last_room(self, write: Callable[[], T]) -> T:
        try:
            return write()
        except OutboxFullError:
            if not self._reserve.give_up():
                raise
            written = write()
            log.error("disk_full", help="only feedback is still stored; make room on this disk")
            return written

    def _note_run(self, boot: int, is_running: bool) -> None:
        with self._transaction() as connection:
            connection.execute("UPDATE chain SET boot = ?, running = ?", (boot, is_running))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; SQLite's own faults (full, locked, broken) become `OutboxError`."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise explain(error) from error
            finally:
                # After a fault only; a full disk may have ended the transaction already.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
