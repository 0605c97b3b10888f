"""Reads both logs and names every record that is not what was written.

What records say by themselves is `event_protocol`'s to verify, as for an export; here is besides
what only the database knows: columns that were copied out of the bytes, and how far it was read.
"""

from collections.abc import Callable, Iterable, Iterator

from sqlmodel import Session

from central_server.services.filing import Incoming, file_message
from central_server.services.log_projector import LOG_STREAM
from central_server.storage import log_records, streams
from central_server.storage.events import StoredEvent
from central_server.storage.tables import ServerLogRow
from event_protocol.device_chains import ANOTHER_CONTENT, Deviation
from event_protocol.log_records import DeviceRecord, ServerEntry
from event_protocol.log_verifier import SERVER, LogVerifier, read_mapping
from event_protocol.names import DeviceId
from event_protocol.server_heads import SignedHead
from event_protocol.topics import Channel, topic_of

# What the row says beside its bytes, and the bytes say too.
_COPIED = ("device", "epoch", "sequence", "event_id", "type", "desk", "time", "prevhash")

Read = Callable[[], object]  # called for each record read, for a progress bar


def verify(
    db: Session,
    trusted: Iterable[str],
    heads: Iterable[SignedHead] = (),
    read: Read = lambda: None,
) -> Iterator[Deviation]:
    """Every deviation, in the order of each log: the server's, then each device's epochs.

    `trusted`: public keys of this server; `heads`: copies of signed heads kept elsewhere.
    """
    verifier = LogVerifier(list(trusted), heads)
    last = 0
    for record, row in log_records.read_records(db):
        found = list(verifier.take(record))
        yield from found
        if row is not None:
            read()
        if isinstance(record, ServerEntry):
            last = max(last, record.sequence)
        if not found and row is not None and _differs(row):
            place = (
                f"{record.device}/{record.epoch}" if isinstance(record, DeviceRecord) else SERVER
            )
            yield Deviation(place, row.sequence, ANOTHER_CONTENT)
    yield from verifier.end()
    projected = streams.find_head(db, LOG_STREAM)
    if projected is not None and projected.received_through > last:
        yield Deviation(SERVER, last + 1, f"missing, up to {projected.received_through}")


def _differs(row: ServerLogRow | StoredEvent) -> bool:
    """Whether the columns that were copied out of the bytes say other than these."""
    return _entry_differs(row) if isinstance(row, ServerLogRow) else _event_differs(row)


def _entry_differs(row: ServerLogRow) -> bool:
    body = read_mapping(row.body)
    data = body.get("data")
    kind = data.get("type") if isinstance(data, dict) else None
    said = (body.get("id"), body.get("prevhash"), kind)
    return said != (row.entry_id, row.prevhash, row.type)


def _event_differs(row: StoredEvent) -> bool:
    """A row without a type was occupied by bad content: only its bytes speak."""
    again = file_message(
        Incoming(topic_of(DeviceId(row.device), Channel.EVENTS), row.body), row.received_at
    )
    if not isinstance(again, StoredEvent):
        return True
    if row.type is None:
        return again[:3] != row[:3] or (again.type is not None and row.event_id is not None)
    return any(getattr(again, name) != getattr(row, name) for name in _COPIED)
