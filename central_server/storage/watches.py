"""What tick looks at: holes that stay open, and epochs that a device has left behind."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from central_server.storage.tables import EventRow, StreamRow


class Hole(NamedTuple):
    """Positions that are missing before one that was received; both ends included."""

    device: str
    epoch: int
    first: int
    last: int


class LeftEpoch(NamedTuple):
    """A stream whose device has opened a later epoch; `event_type`, `body`: its first event's."""

    device: str
    epoch: int
    highest_seen: int
    by_epoch: int
    at: datetime
    event_type: str | None
    body: bytes


def list_holes(db: Session, waiting_since: datetime) -> Iterator[Hole]:
    """Each stream's first hole that is not given up, if what lies behind it waits so long."""
    waiting = select(StreamRow).where(
        col(StreamRow.highest_seen) > col(StreamRow.received_through),
        col(StreamRow.highest_seen) > col(StreamRow.projected_through),
    )
    for stream in db.exec(waiting.order_by(col(StreamRow.device), col(StreamRow.epoch))).all():
        reached = max(stream.projected_through, stream.received_through)
        behind = db.exec(
            select(EventRow.sequence, EventRow.received_at)
            .where(
                EventRow.device == stream.device,
                EventRow.epoch == stream.epoch,
                col(EventRow.sequence) > reached,
            )
            .order_by(col(EventRow.sequence))
            .limit(1)
        ).first()
        if behind is None or behind[0] == reached + 1:
            continue
        # What arrived while the database was down may be hours old, and yet nobody has asked.
        if max(behind[1], stream.gap_since or behind[1]) > waiting_since:
            continue
        hole = Hole(stream.device, stream.epoch, reached + 1, behind[0] - 1)
        if [hole.first, hole.last] not in stream.given_up:
            yield hole


def list_left_epochs(db: Session) -> Iterator[LeftEpoch]:
    """Streams not yet known to be superseded whose device's next epoch has its first event."""
    old, new = aliased(StreamRow), aliased(StreamRow)
    later = (
        select(old, new.epoch)
        .join(new, col(new.device) == col(old.device))
        .where(
            col(new.epoch) > col(old.epoch),
            col(old.superseded_by).is_(None),
            col(old.highest_seen) > 0,
        )
        .order_by(col(old.device), col(old.epoch), col(new.epoch))
    )
    seen: set[tuple[str, int]] = set()
    for stream, by_epoch in db.exec(later).all():
        first = db.get(EventRow, (stream.device, by_epoch, 1))
        if first is None or (stream.device, stream.epoch) in seen:
            continue
        seen.add((stream.device, stream.epoch))
        yield LeftEpoch(
            stream.device,
            stream.epoch,
            stream.highest_seen,
            by_epoch,
            first.time or first.received_at,
            first.type,
            first.body,
        )
