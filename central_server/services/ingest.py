"""The append step: messages become rows of the event log, and receipts say what is committed.

Order of arrival, repeats and the number of workers change nothing in what ends up in the log.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sqlmodel import Session

from central_server.domain.server_log import IncidentRecorded
from central_server.services import device_receipts
from central_server.services.context import ServerContext
from central_server.services.device_receipts import Addressed
from central_server.services.filing import Filed, Incoming, file_message, misfit
from central_server.storage import events as event_store
from central_server.storage import quarantine, registry, server_log, streams
from central_server.storage.events import Place, StoredEvent
from central_server.storage.quarantine import IncidentKind, Misfit
from central_server.storage.streams import Head, Stream
from event_protocol.names import DeviceId, format_time
from event_protocol.topics import Channel, topic_of

_UNKNOWN_DEVICE = "the device is not registered here"
_KNOWN_ID = "its id is known at another position"
_INCIDENT_REASONS: dict[IncidentKind, str] = {
    "other_bytes": "the position is known with other bytes",
    "known_id_elsewhere": _KNOWN_ID,
}
_SMALL_HOLE = 500  # positions; beyond, the stream is read on from the hole
Beside = tuple[StoredEvent, IncidentKind]


def append(context: ServerContext, batch: Sequence[Incoming]) -> list[Addressed]:
    """Files messages as received now and commits them, see `append_filed`."""
    now = context.now()
    return append_filed(context, [Filed(one, file_message(one, now)) for one in batch])


def append_filed(context: ServerContext, batch: Sequence[Filed]) -> list[Addressed]:
    """Commits a batch, whole or not at all; the receipts may be sent once this returns."""
    try:
        return _commit(context, batch, holds_log=False)
    except _NeedsLogError:
        return _commit(context, batch, holds_log=True)


class _NeedsLogError(Exception):
    """The server's log is to be locked before the streams are, but seldom has to be at all."""


def _commit(context: ServerContext, batch: Sequence[Filed], *, holds_log: bool) -> list[Addressed]:
    now = context.now()
    senders = {one.entry.device for one in batch if one.entry.device is not None}
    with context.database.transaction() as db:
        if holds_log:
            server_log.lock(db)
        known = registry.find_active_devices(db, senders)
        strangers = senders - known
        revoked = registry.find_revoked(db, strangers) if strangers else {}
        rows, misfits = _sort_out(batch, known, revoked)
        heads = streams.open_heads(db, ((row.device, row.epoch) for row in rows))
        added, beside = _add_rows(db, rows, heads)
        _advance(db, added, heads, now)
        quarantine.add(db, misfits, now)
        for incident in _keep_beside(db, beside, now):
            if not holds_log:
                raise _NeedsLogError
            server_log.append(db, incident, at=now)
        registry.mark_heard(db, known, now)
        patience = device_receipts.patience_of(context)
        receipts = [device_receipts.make(db, head, now, patience) for head in heads.values()]
        refused = [one for one in misfits if one.device in known]
        receipts = device_receipts.name_rejections(db, receipts, refused, now)
        streams.save_heads(db, list(heads.values()))
    return receipts


def set_aside(context: ServerContext, filed: Filed, reason: str) -> list[Addressed]:
    """Refuses one message that the database can't take, so that it does not hold up the others."""
    now = context.now()
    refused = misfit(filed.message, f"can't be stored: {reason}", filed.entry.device)
    with context.database.transaction() as db:
        quarantine.add(db, [refused], now)
        return device_receipts.name_rejections(db, [], [refused], now) if refused.device else []


def _sort_out(
    batch: Sequence[Filed],
    known: Collection[str],
    revoked: Mapping[str, datetime],
) -> tuple[list[StoredEvent], list[Misfit]]:
    """Rows of known devices, and what has no place in the log."""
    rows: list[StoredEvent] = []
    misfits: list[Misfit] = []
    for message, one in batch:
        if isinstance(one, Misfit):
            misfits.append(one)
        elif one.device in known:
            rows.append(one)
        elif one.device in revoked:
            reason = f"the device was revoked at {format_time(revoked[one.device])}"
            misfits.append(misfit(message, reason, one.device))
        else:
            misfits.append(misfit(message, _UNKNOWN_DEVICE, one.device))
    return rows, misfits


def _add_rows(
    db: Session, rows: Iterable[StoredEvent], heads: Mapping[Stream, Head]
) -> tuple[list[StoredEvent], list[Beside]]:
    """Adds what is new; returns it, and what stands beside a known position or id.

    A position above all that were seen is new without asking; so a batch in order costs no lookup.
    One that retention has dropped is known: the checkpoint stands for it.
    """
    wanted: dict[Place, StoredEvent] = {}
    again: list[StoredEvent] = []
    for row in rows:
        place = row[:3]
        if row.sequence > heads[place[:2]].dropped_through and (
            wanted.setdefault(place, row) is not row
        ):
            again.append(row)
    maybe_known = [at for at in wanted if at[2] <= heads[at[:2]].highest_seen]
    known = event_store.find_hashes(db, maybe_known) if maybe_known else {}
    for place in known:
        again.append(wanted.pop(place))
    added = list(wanted.values())
    beside: list[Beside] = []
    newest = {head.device: head.newest_id for head in heads.values()}
    if event_store.insert_new(db, added, newest) != len(added):
        added, refused = _settle(db, added)
        beside += refused
    if again:
        hashes = {**{row[:3]: row.hash for row in added}, **known}
        beside += [
            (row, "other_bytes") for row in again if hashes.get(row[:3], row.hash) != row.hash
        ]
    return added, beside


def _settle(db: Session, tried: Sequence[StoredEvent]) -> tuple[list[StoredEvent], list[Beside]]:
    """After an insert that left some out: another worker took the position, or the id is known.

    In the second case the position is occupied all the same, without the id: nothing may block
    the line.
    """
    there = event_store.find_hashes(db, [row[:3] for row in tried])
    taken = [row for row in tried if there.get(row[:3], row.hash) != row.hash]
    with_known_id = [row for row in tried if row[:3] not in there]
    nameless = [
        row._replace(event_id=None, type=None, desk=None, reason=_KNOWN_ID) for row in with_known_id
    ]
    event_store.insert_new(db, nameless, {})
    in_place = [row for row in tried if there.get(row[:3]) == row.hash]
    beside: list[Beside] = [(row, "other_bytes") for row in taken]
    beside += [(row, "known_id_elsewhere") for row in with_known_id]
    return in_place + nameless, beside


def _advance(
    db: Session, added: Sequence[StoredEvent], heads: Mapping[Stream, Head], now: datetime
) -> None:
    """Moves each stream's contiguous head over what was added."""
    by_stream: dict[Stream, list[StoredEvent]] = {}
    for row in added:
        by_stream.setdefault((row.device, row.epoch), []).append(row)
    waiting = _list_waiting(db, [heads[stream] for stream in by_stream])
    for stream, rows in by_stream.items():
        head = heads[stream]
        head.newest_id = event_store.newest_id(rows, head.newest_id)
        hashes = {row.sequence: row.hash for row in rows}
        if head.unprojected_since is not None:
            arrived = min(row.received_at for row in rows)
            head.unprojected_since = min(head.unprojected_since, arrived)
        before = head.received_through
        behind = waiting.get(stream)
        known = {**behind, **hashes} if behind else hashes
        while (following := known.get(head.received_through + 1)) is not None:
            head.received_through += 1
            head.received_hash = following
        if before < head.received_through < head.highest_seen and stream not in waiting:
            # The hole is filled: what waited behind it is in the table already.
            head.received_through, head.received_hash = event_store.contiguous_head(
                db, head.device, head.epoch, head.received_through, head.received_hash
            )
        head.highest_seen = max(head.highest_seen, *hashes)
        if not head.has_gap:
            head.gap_since = head.resend_asked_at = None
        elif head.gap_since is None or head.received_through > before:
            head.gap_since, head.resend_asked_at = now, None
        if any(first <= at <= last for at in hashes for first, last in head.given_up):
            head.must_refold = True  # projection stepped over it as unknown


def _list_waiting(db: Session, heads: Iterable[Head]) -> dict[Stream, dict[int, str]]:
    """What lies behind small holes, in one lookup for all streams.

    Workers that share a queue make such holes with every batch, and fill each other's.
    """
    few = [head for head in heads if head.highest_seen - head.received_through <= _SMALL_HOLE]
    places = [
        (head.device, head.epoch, sequence)
        for head in few
        for sequence in range(head.received_through + 2, head.highest_seen + 1)
    ]
    waiting: dict[Stream, dict[int, str]] = {(head.device, head.epoch): {} for head in few}
    for (device, epoch, sequence), digest in event_store.find_hashes(db, places).items():
        waiting[device, epoch][sequence] = digest
    return waiting


def _keep_beside(
    db: Session, beside: Iterable[Beside], now: datetime
) -> Iterator[IncidentRecorded]:
    """What speaks of tampering is kept beside the first, and told once in the server's log."""
    for row, kind in beside:
        kept = Misfit(
            topic=topic_of(DeviceId(row.device), Channel.EVENTS),
            payload=row.body,
            sha256=row.hash,
            kind=kind,
            reason=_INCIDENT_REASONS[kind],
            device=row.device,
            epoch=row.epoch,
            sequence=row.sequence,
        )
        if quarantine.add(db, [kept], now):
            yield IncidentRecorded(
                device=row.device,
                epoch=row.epoch,
                sequence=row.sequence,
                kind=kind,
                sha256=row.hash,
            )
