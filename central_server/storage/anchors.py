"""What an anchor needs: where the logs stand, and what the last anchor said."""

from collections.abc import Iterator

from sqlalchemy import and_, select
from sqlmodel import Session, col
from sqlmodel import select as select_rows

from central_server.domain.custody_log import LogAnchored, StreamHead, StreamsAnchored
from central_server.domain.server_log import LoggedEntry
from central_server.storage import server_log
from central_server.storage.tables import EventRow, ServerLogRow, StreamRow, table_of

ANCHORED: str = LogAnchored.model_fields["type"].default
_EVENT, _STREAM = table_of(EventRow), table_of(StreamRow)
_HEADS = (
    select(
        _STREAM.c.device,
        _STREAM.c.epoch,
        _STREAM.c.projected_through,
        _EVENT.c.hash,
        _STREAM.c.superseded_by,
    )
    .join(
        _EVENT,
        and_(
            _EVENT.c.device == _STREAM.c.device,
            _EVENT.c.epoch == _STREAM.c.epoch,
            _EVENT.c.sequence == _STREAM.c.projected_through,
        ),
    )
    .order_by(_STREAM.c.device, _STREAM.c.epoch)
    .execution_options(yield_per=1000)
)


def read_heads(db: Session) -> Iterator[tuple[StreamHead, bool]]:
    """Each epoch's last projected event, and whether the device has begun another epoch since.

    Up to there every position came or was given up, so that what is missing later was taken away.
    """
    for device, epoch, through, digest, superseded_by in db.connection().execute(_HEADS):
        yield (device, epoch, through, digest), superseded_by is not None


def find_last(db: Session) -> LoggedEntry | None:
    """The newest anchor's entry."""
    return server_log.find(db, server_log.last_sequence_of(db, ANCHORED))


def read_said(db: Session, anchor: LoggedEntry) -> Iterator[StreamHead]:
    """What that anchor told of devices' epochs."""
    if not isinstance(anchor.entry, LogAnchored):
        raise TypeError(anchor.entry.type)
    for sequence in range(anchor.sequence - anchor.entry.streams, anchor.sequence):
        logged = server_log.find(db, sequence)
        if logged is not None and isinstance(logged.entry, StreamsAnchored):
            yield from logged.entry.heads


def list_anchors(db: Session, *, before: int | None = None, limit: int) -> list[LoggedEntry]:
    """The latest first; `before` is a place in the log."""
    query = select_rows(ServerLogRow.sequence).where(ServerLogRow.type == ANCHORED)
    if before is not None:
        query = query.where(col(ServerLogRow.sequence) < before)
    sequences = db.exec(query.order_by(col(ServerLogRow.sequence).desc()).limit(limit)).all()
    return [one for sequence in sequences if (one := server_log.find(db, sequence)) is not None]
