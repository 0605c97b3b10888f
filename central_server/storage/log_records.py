"""The logs as records for who must not trust them: in the order of `event_protocol.log_records`."""

from collections.abc import Iterator

from sqlmodel import Session, col, select

from central_server.storage import events, server_log
from central_server.storage.events import StoredEvent
from central_server.storage.streams import Stream
from central_server.storage.tables import ServerLogRow, StreamRow
from event_protocol.log_records import DeviceRecord, LogRecord, ServerEntry, StreamBegins


def count_records(db: Session) -> int:
    """How many rows `read_records` reads."""
    return events.count(db) + server_log.count(db)


def read_records(db: Session) -> Iterator[tuple[LogRecord, ServerLogRow | StoredEvent | None]]:
    """Every record with its row; `None` for what only says that an epoch's records follow."""
    for row in server_log.read_rows(db):
        yield ServerEntry(sequence=row.sequence, hash=row.hash, body=_text(row.body)), row
    for device, epoch, receipted in _list_streams(db):
        yield StreamBegins(device=device, epoch=epoch, receipted=receipted), None
        for event in events.read_stream(db, device, epoch):
            record = DeviceRecord(
                device=device,
                epoch=epoch,
                sequence=event.sequence,
                hash=event.hash,
                body=_text(event.body),
            )
            yield record, event


def _list_streams(db: Session) -> list[tuple[str, int, int]]:
    """Every epoch that anything is known of, and how far it was receipted; the newest first.

    The streams' table is derived: what stands in the log alone is read all the same.
    """
    known: dict[Stream, int] = {}
    for device in events.list_devices(db):
        known.update({(device, epoch): 0 for epoch in events.list_epochs(db, device)})
    receipted = select(StreamRow.device, StreamRow.epoch, StreamRow.received_through)
    for device, epoch, through in db.exec(receipted.where(col(StreamRow.highest_seen) > 0)):
        known[device, epoch] = through
    ordered = sorted(known.items(), key=lambda one: (one[0][0], -one[0][1]))
    return [(device, epoch, through) for (device, epoch), through in ordered]


def _text(body: bytes) -> str:
    """Canonical JSON is UTF-8. What is not was altered, and shows: its hash is another."""
    return body.decode(errors="replace")
