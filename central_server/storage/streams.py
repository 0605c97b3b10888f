"""How far each stream (one device's epoch) has been received; the projector keeps its own part."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from central_server.storage.tables import StreamRow, table_of

_STREAM = table_of(StreamRow)
_KEY = (_STREAM.c.device, _STREAM.c.epoch)

Stream = tuple[str, int]  # device, epoch


@dataclass(slots=True)
class Head:
    """What ingest knows of a stream; rows with holes between them lie behind `received_through`."""

    device: str
    epoch: int
    received_through: int
    received_hash: str | None
    highest_seen: int
    gap_since: datetime | None
    resend_asked_at: datetime | None
    given_up: list[list[int]]
    must_refold: bool
    newest_id: str | None  # of all of the device's epochs, the highest that tells its time
    unprojected_since: datetime | None
    dropped_through: int  # up to there a checkpoint stands for the events

    @property
    def has_gap(self) -> bool:
        """Whether a position is missing before one that was received."""
        return self.highest_seen > self.received_through


_FIELDS = tuple(Head.__dataclass_fields__)
_KEPT = ("device", "epoch", "given_up", "dropped_through")
_SAVED = tuple(name for name in _FIELDS if name not in _KEPT)

# Made once: building a statement takes longer than asking, and each batch asks.
_HEADS = (
    select(*(_STREAM.c[name] for name in _FIELDS))
    .where(tuple_(*_KEY).in_(bindparam("streams", expanding=True)))
    .order_by(*_KEY)
)
# All epochs of the devices: an id is its device's own, whichever epoch it was told in.
_LOCKED_HEADS = (
    select(*(_STREAM.c[name] for name in _FIELDS))
    .where(_STREAM.c.device.in_(bindparam("devices", expanding=True)))
    .order_by(*_KEY)
    .with_for_update()  # SQLite locks all, and leaves the clause out
)
_SAVING = (
    update(_STREAM)
    .where(_STREAM.c.device == bindparam("_device"), _STREAM.c.epoch == bindparam("_epoch"))
    .values({name: bindparam(f"_{name}") for name in _SAVED})
)


def open_heads(db: Session, streams: Iterable[Stream]) -> dict[Stream, Head]:
    """The heads of those streams, locked until the transaction ends; new ones are made."""
    wanted = sorted(set(streams))  # in one order everywhere, or two workers wait for each other
    if not wanted:
        return {}
    devices = {"devices": sorted({device for device, _ in wanted})}
    heads = _read(db, _LOCKED_HEADS, devices)
    missing = [stream for stream in wanted if stream not in heads]
    if missing:
        _add_empty(db, missing)
        heads = _read(db, _LOCKED_HEADS, devices)
    newest: dict[str, str] = {}
    for head in heads.values():
        newest[head.device] = max(newest.get(head.device, ""), head.newest_id or "")
    for head in heads.values():
        head.newest_id = newest[head.device] or None
    return {stream: heads[stream] for stream in wanted}


def save_heads(db: Session, heads: Sequence[Head]) -> None:
    """Writes what ingest changed; the projector's columns stay as they are."""
    if heads:
        fields = ("device", "epoch", *_SAVED)
        values = [{f"_{name}": getattr(head, name) for name in fields} for head in heads]
        db.connection().execute(_SAVING, values)


def find_head(db: Session, stream: Stream) -> Head | None:
    """The head of one stream as it is, unlocked."""
    return _read(db, _HEADS, {"streams": [stream]}).get(stream)


def list_with_gap(db: Session, asked_before: datetime) -> list[Stream]:
    """Streams that wait for a missing position and were not asked for it since then."""
    statement = select(*_KEY).where(
        _STREAM.c.gap_since.is_not(None),
        (_STREAM.c.resend_asked_at.is_(None)) | (_STREAM.c.resend_asked_at < asked_before),
    )
    return [(device, epoch) for device, epoch in db.connection().execute(statement)]


def list_unprojected(db: Session) -> list[Stream]:
    """Streams whose received events are not all projected, or that must be derived anew."""
    statement = select(*_KEY).where(
        (_STREAM.c.received_through > _STREAM.c.projected_through) | _STREAM.c.must_refold
    )
    return [(device, epoch) for device, epoch in db.connection().execute(statement)]


def list_of_device(db: Session, device: str) -> list[Stream]:
    """A device's streams, oldest epoch first."""
    statement = select(*_KEY).where(_STREAM.c.device == device).order_by(_STREAM.c.epoch)
    return [(name, epoch) for name, epoch in db.connection().execute(statement)]


def _read(db: Session, statement: Any, values: Mapping[str, Any]) -> dict[Stream, Head]:
    # One lookup of all: a batch may hold one event from each of a thousand desks.
    heads = [Head(*row) for row in db.connection().execute(statement, values)]
    return {(head.device, head.epoch): head for head in heads}


def _add_empty(db: Session, streams: Sequence[Stream]) -> None:
    is_sqlite = db.get_bind().dialect.name == "sqlite"
    insert = sqlite.insert if is_sqlite else postgresql.insert
    rows = [StreamRow(device=device, epoch=epoch).model_dump() for device, epoch in streams]
    db.connection().execute(insert(_STREAM).on_conflict_do_nothing(), rows)
