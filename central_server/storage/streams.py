"""How far each stream (one device's epoch) has been received; the projector keeps its own part."""

from collections.abc import Iterable, Sequence
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

    @property
    def has_gap(self) -> bool:
        """Whether a position is missing before one that was received."""
        return self.highest_seen > self.received_through


_FIELDS = tuple(Head.__dataclass_fields__)
_SAVED = tuple(name for name in _FIELDS if name not in ("device", "epoch", "given_up"))


def open_heads(db: Session, streams: Iterable[Stream]) -> dict[Stream, Head]:
    """The heads of those streams, locked until the transaction ends; new ones are made."""
    wanted = sorted(set(streams))  # in one order everywhere, or two workers wait for each other
    heads = _load(db, wanted)
    missing = [stream for stream in wanted if stream not in heads]
    if missing:
        _add_empty(db, missing)
        heads.update(_load(db, missing))
    return heads


def save_heads(db: Session, heads: Sequence[Head]) -> None:
    """Writes what ingest changed; the projector's columns stay as they are."""
    if not heads:
        return
    statement = (
        update(_STREAM)
        .where(_STREAM.c.device == bindparam("_device"), _STREAM.c.epoch == bindparam("_epoch"))
        .values({name: bindparam(f"_{name}") for name in _SAVED})
    )
    values = [
        {f"_{name}": getattr(head, name) for name in ("device", "epoch", *_SAVED)} for head in heads
    ]
    db.connection().execute(statement, values)


def find_head(db: Session, stream: Stream) -> Head | None:
    """The head of one stream as it is, unlocked."""
    return next(iter(_read(db, tuple_(*_KEY).in_([stream]))), None)


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


def _load(db: Session, streams: Sequence[Stream]) -> dict[Stream, Head]:
    # One lookup of all: a batch may hold one event from each of a thousand desks.
    heads = _read(db, tuple_(*_KEY).in_(streams), lock=not _is_sqlite(db)) if streams else []
    return {(head.device, head.epoch): head for head in heads}


def _read(db: Session, condition: Any, *, lock: bool = False) -> list[Head]:
    statement = select(*(_STREAM.c[name] for name in _FIELDS)).where(condition).order_by(*_KEY)
    if lock:
        statement = statement.with_for_update()
    return [Head(*row) for row in db.connection().execute(statement)]


def _add_empty(db: Session, streams: Sequence[Stream]) -> None:
    insert = sqlite.insert if _is_sqlite(db) else postgresql.insert
    rows = [StreamRow(device=device, epoch=epoch).model_dump() for device, epoch in streams]
    db.connection().execute(insert(_STREAM).on_conflict_do_nothing(), rows)


def _is_sqlite(db: Session) -> bool:
    return db.get_bind().dialect.name == "sqlite"
