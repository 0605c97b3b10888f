"""What the projector reads and writes, in batches: streams, their events, and what is derived.

Rows are plain mappings here (SQLAlchemy Core): object by object was measured 16 times slower.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import Table, and_, bindparam, delete, insert, or_, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from central_server.domain.streams import StreamEvent
from central_server.storage import stream_cuts
from central_server.storage.streams import Stream
from central_server.storage.tables import (
    EVER,
    NEVER,
    DeskDayRow,
    EventRow,
    FeedbackRow,
    FlagFeedRow,
    FlagRow,
    RuleSetRow,
    SessionRow,
    StreamRow,
    table_of,
)
from event_protocol.names import floor_to_quarter

_EVENT = table_of(EventRow)
_STREAM = table_of(StreamRow)
SESSION = table_of(SessionRow)
FLAG = table_of(FlagRow)
FEEDBACK = table_of(FeedbackRow)
DESK_DAY = table_of(DeskDayRow)
RULE_SET = table_of(RuleSetRow)
_FEED = table_of(FlagFeedRow)
DERIVED = (SESSION, FLAG, FEEDBACK, DESK_DAY, RULE_SET)

_KEY = (_STREAM.c.device, _STREAM.c.epoch)
_EVENT_COLUMNS = [_EVENT.c[name] for name in StreamEvent._fields]
_ROWS_AT_ONCE = 2000
_ASKED_AT_ONCE = 500

Row = Mapping[str, Any]
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(slots=True)
class StreamPosition:
    """How far a stream is received and projected; ingest owns the first three columns."""

    device: str
    epoch: int
    received_through: int
    highest_seen: int
    given_up: list[list[int]]
    projected_through: int
    projected_at: datetime | None
    superseded_by: int | None
    state: dict[str, Any]
    must_refold: bool
    unprojected_since: datetime | None


_POSITION = tuple(StreamPosition.__dataclass_fields__)
_OWNED = (
    *("projected_through", "projected_at", "superseded_by", "state", "must_refold", "given_up"),
    "unprojected_since",
)

# Statements of every run are made once: building one takes two to four times as long as asking.
_POSITIONS = (
    select(*(_STREAM.c[name] for name in _POSITION))
    .where(tuple_(*_KEY).in_(bindparam("streams", expanding=True)))
    .order_by(*_KEY)
)
_LOCKED = _POSITIONS.with_for_update()
_OF_DEVICES = select(*_KEY).where(_STREAM.c.device.in_(bindparam("devices", expanding=True)))
_FREE = (
    select(*(_STREAM.c[name] for name in _POSITION))
    .where(_STREAM.c.device.in_(bindparam("devices", expanding=True)))
    .with_for_update(skip_locked=True)
    .order_by(*_KEY)
)
_SAVED = (
    update(_STREAM)
    .where(_STREAM.c.device == bindparam("_device"), _STREAM.c.epoch == bindparam("_epoch"))
    .values({name: bindparam(f"_{name}") for name in _OWNED})
)
_NEW = (
    select(*_EVENT_COLUMNS)
    .where(
        _EVENT.c.device == bindparam("of_device"),
        _EVENT.c.epoch == bindparam("of_epoch"),
        _EVENT.c.sequence > bindparam("after"),
        _EVENT.c.sequence <= bindparam("through"),
        _EVENT.c.received_at >= bindparam("since"),  # spares PostgreSQL looking through all months
    )
    .order_by(_EVENT.c.sequence)
)
_THROUGH = select(_STREAM.c.projected_through).where(
    _STREAM.c.device == bindparam("of_device"), _STREAM.c.epoch == bindparam("of_epoch")
)


def lock_streams(db: Session, streams: Iterable[Stream]) -> list[StreamPosition]:
    """Those streams' positions in order, locked until the transaction ends."""
    values = {"streams": sorted(set(streams))}
    return [StreamPosition(*row) for row in db.connection().execute(_LOCKED, values)]


def find_position(db: Session, stream: Stream) -> StreamPosition:
    """That stream's position as it is, unlocked."""
    row = db.connection().execute(_POSITIONS, {"streams": [stream]}).one()
    return StreamPosition(*row)


def lock_free_streams(db: Session, streams: Iterable[Stream]) -> list[StreamPosition]:
    """The same, without those of devices that another transaction has locked a stream of.

    On SQLite nobody else holds any.
    """
    wanted = set(streams)
    values = {"devices": sorted({device for device, _ in wanted})}
    known = {(device, epoch) for device, epoch in db.connection().execute(_OF_DEVICES, values)}
    rows = [StreamPosition(*row) for row in db.connection().execute(_FREE, values)]
    held = {device for device, _ in known - {(row.device, row.epoch) for row in rows}}
    return [row for row in rows if row.device not in held and (row.device, row.epoch) in wanted]


def list_streams(db: Session) -> list[Stream]:
    """All streams of devices, in order."""
    found = db.connection().execute(select(*_KEY).where(_STREAM.c.highest_seen > 0).order_by(*_KEY))
    return [(device, epoch) for device, epoch in found]


def list_behind(db: Session) -> list[Stream]:
    """Streams with events beyond what is projected (some may wait for a gap), or to be refolded."""
    condition = or_(_STREAM.c.highest_seen > _STREAM.c.projected_through, _STREAM.c.must_refold)
    found = db.connection().execute(select(*_KEY).where(condition).order_by(*_KEY))
    return [(device, epoch) for device, epoch in found]


def save_streams(db: Session, positions: Sequence[StreamPosition]) -> None:
    """Writes the projector's columns."""
    for position in positions:
        if position.projected_through >= position.highest_seen:
            position.unprojected_since = NEVER
    if positions:
        fields = ("device", "epoch", *_OWNED)
        values = [{f"_{name}": getattr(row, name) for name in fields} for row in positions]
        db.connection().execute(_SAVED, values)


def open_position(db: Session, device: str, epoch: int) -> int:
    """How far a log that is not a device's is projected, locked; made at its first use."""
    values = {"of_device": device, "of_epoch": epoch}
    found = db.connection().execute(_THROUGH.with_for_update(), values).scalar()
    if found is None:
        empty = StreamRow(device=device, epoch=epoch).model_dump()
        db.connection().execute(_insert(db)(_STREAM).on_conflict_do_nothing(), [empty])
        found = db.connection().execute(_THROUGH.with_for_update(), values).scalar_one()
    return int(found)


def find_through(db: Session, device: str, epoch: int) -> int:
    """The same, unlocked; 0 before its first use."""
    values = {"of_device": device, "of_epoch": epoch}
    return int(db.connection().execute(_THROUGH, values).scalar() or 0)


def save_position(db: Session, device: str, epoch: int, through: int) -> None:
    """How far that log is projected now."""
    _change(db, device, epoch, projected_through=through, received_through=through)


def add_given_up(db: Session, device: str, epoch: int, first: int, last: int) -> bool:
    """Those positions will be stepped over; whether that is new."""
    given_up = [list(one) for one in _read_given_up(db, device, epoch)]
    if [first, last] in given_up:
        return False
    _change(db, device, epoch, given_up=sorted([*given_up, [first, last]]))
    return True


def mark_superseded(db: Session, device: str, epoch: int, by_epoch: int) -> bool:
    """The device has opened a new epoch; whether that is new."""
    statement = select(_STREAM.c.superseded_by).where(
        _STREAM.c.device == device, _STREAM.c.epoch == epoch
    )
    if db.connection().execute(statement).scalar() is not None:
        return False
    _change(db, device, epoch, superseded_by=by_epoch, must_refold=True)
    return True


def _read_given_up(db: Session, device: str, epoch: int) -> list[list[int]]:
    statement = select(_STREAM.c.given_up).where(
        _STREAM.c.device == device, _STREAM.c.epoch == epoch
    )
    return db.connection().execute(statement).scalar() or []


def _change(db: Session, device: str, epoch: int, **values: Any) -> None:
    statement = update(_STREAM).where(_STREAM.c.device == device, _STREAM.c.epoch == epoch)
    db.connection().execute(statement.values(values))


def mark_refold(db: Session, from_time: datetime) -> None:
    """Streams that were projected to that event time or beyond are to be derived anew."""
    statement = update(_STREAM).where(_STREAM.c.projected_at >= from_time)
    db.connection().execute(statement.values(must_refold=True))


def forget_projection(db: Session) -> None:
    """Drops all that can be derived: sessions, flags, feedback, days, rule sets, streams' folds."""
    stream_cuts.forget_derivable(db)
    db.connection().execute(delete(RULE_SET))
    fresh: dict[str, Any] = {
        "projected_through": 0,
        "projected_at": None,
        "superseded_by": None,
        "state": {},
        "must_refold": False,
        "given_up": [],
        "unprojected_since": None,
    }
    db.connection().execute(update(_STREAM).values(fresh))
    for cut in stream_cuts.list_all(db):
        _change(db, *cut.stream, projected_through=cut.through, projected_at=cut.at)
        _change(db, *cut.stream, state={"fold": cut.fold})


def read_new(
    db: Session, positions: Iterable[StreamPosition]
) -> Iterator[tuple[Stream, list[StreamEvent]]]:
    """Each stream's received but not yet projected events, of the contiguous prefix.

    A query for each stream: joined to the streams' table, SQLite read the whole log each time.
    """
    for position in positions:
        values = {
            "of_device": position.device,
            "of_epoch": position.epoch,
            "after": position.projected_through,
            "through": position.received_through,
            "since": position.unprojected_since or EVER,
        }
        rows = db.connection().execute(_NEW, values)
        events = [StreamEvent._make(row) for row in rows]
        if events:
            yield (position.device, position.epoch), events


def read_from(
    db: Session, stream: Stream, after: int, since: datetime | None = None
) -> Iterator[StreamEvent]:
    """One stream's events behind that position in order, whatever is missing between them; none of
    them was received before `since`.
    """
    statement = (
        select(*_EVENT_COLUMNS)
        .where(_EVENT.c.device == stream[0], _EVENT.c.epoch == stream[1])
        .where(_EVENT.c.sequence > after, _EVENT.c.received_at >= (since or EVER))
        .order_by(_EVENT.c.sequence)
        .execution_options(yield_per=_ROWS_AT_ONCE)
    )
    with db.connection().execute(statement) as rows:
        for row in rows:
            yield StreamEvent._make(row)


def upsert(db: Session, table: Table, rows: Iterable[Row], *, only_of_stream: bool = False) -> None:
    """Inserts rows or replaces them by primary key.

    `only_of_stream`: a row that another stream has made stays as it is.
    """
    left = iter(rows)
    while some := list(islice(left, _ROWS_AT_ONCE)):
        statement = _upserting(_dialect(db), table, only_of_stream)
        db.connection().execute(statement, [dict(row) for row in some])


@cache
def _upserting(dialect: str, table: Table, only_of_stream: bool) -> Any:
    statement = _INSERTS[dialect](table)
    keys = [column.name for column in table.primary_key]
    new = statement.excluded
    values = {c.name: new[c.name] for c in table.columns if c.name not in keys}
    where = None
    if only_of_stream:
        where = and_(table.c.device == new.device, table.c.epoch == new.epoch)
    return statement.on_conflict_do_update(index_elements=keys, set_=values, where=where)


@cache
def _finding(table: Table, key: str) -> Any:
    return select(table).where(table.c[key].in_(bindparam("names", expanding=True)))


def find_rows(db: Session, table: Table, key: str, values: Iterable[str]) -> dict[str, Row]:
    """The rows whose (unique) column `key` has one of those values, by it."""
    found: dict[str, Row] = {}
    left = iter(sorted(set(values)))
    while some := list(islice(left, _ASKED_AT_ONCE)):
        rows = db.connection().execute(_finding(table, key), {"names": some}).mappings()
        found.update((row[key], dict(row)) for row in rows)
    return found


def rows_of_stream(db: Session, table: Table, stream: Stream) -> list[Row]:
    """All rows of a derived table that one stream has made, in the order of their keys."""
    statement = (
        select(table)
        .where(table.c.device == stream[0], table.c.epoch == stream[1])
        .order_by(*table.primary_key)
    )
    return [dict(row) for row in db.connection().execute(statement).mappings()]


def drop_rows(db: Session, table: Table, rows: Iterable[Row]) -> None:
    """Removes those rows, by primary key."""
    keys = list(table.primary_key)
    for row in rows:
        matches = [column == row[column.name] for column in keys]
        db.connection().execute(delete(table).where(*matches))


def add_to_feed(db: Session, flag_ids: Iterable[str], at: datetime) -> None:
    """Open pages learn of these flags; the last step of a transaction.

    By the quarter: a complaint's flag is changed at once, and its exact time beside a camera's
    picture would name the citizen.
    """
    if _dialect(db) == "postgresql":
        # One at a time until it commits: a page that was told of a number asks for later ones only.
        db.execute(text("LOCK TABLE flag_feed IN SHARE ROW EXCLUSIVE MODE"))
    quarter = floor_to_quarter(at)
    db.connection().execute(insert(_FEED), [{"flag_id": one, "at": quarter} for one in flag_ids])


def _insert(db: Session) -> Any:
    return _INSERTS[_dialect(db)]


def _dialect(db: Session) -> str:
    return db.get_bind().dialect.name
