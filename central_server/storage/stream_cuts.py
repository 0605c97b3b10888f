"""What retention drops of streams, and what must be known of it ever after."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlmodel import Session

from central_server.storage import months
from central_server.storage.feedback_sources import SUBMITTED
from central_server.storage.streams import Stream
from central_server.storage.tables import (
    DeskDayRow,
    EventRow,
    FeedbackRow,
    FlagRow,
    SessionRow,
    StreamCutRow,
    StreamRow,
    table_of,
)

_EVENT, _STREAM, _CUT = table_of(EventRow), table_of(StreamRow), table_of(StreamCutRow)
_FEEDBACK, _FLAG = table_of(FeedbackRow), table_of(FlagRow)
_SESSION, _DAY = table_of(SessionRow), table_of(DeskDayRow)
# A day is the office's, a time UTC: what may be of the same day is not dropped.
_SAME_DAY = timedelta(days=1)
# Who waits longer than a second for events would be told of a deadlock; the next run tries again.
_PATIENCE = "SET LOCAL lock_timeout = '900ms'"


class Cut(NamedTuple):
    """A stream's events up to `through` go, or have gone; `fold`: it stood so behind them. `flags`
    were raised by them; known only while they go.
    """

    device: str
    epoch: int
    through: int
    hash: str
    at: datetime | None
    fold: dict[str, Any]
    flags: Sequence[str] = ()

    @property
    def stream(self) -> Stream:
        """Whose it is."""
        return self.device, self.epoch


class Span(NamedTuple):
    """What is there of a stream up to its cut."""

    first: int
    events: int


_NAMES = Cut._fields[:-1]
_FIELDS = [_CUT.c[name] for name in _NAMES]


def list_all(db: Session) -> list[Cut]:
    """Every stream of which something was dropped."""
    found = db.connection().execute(select(*_FIELDS).order_by(_CUT.c.device, _CUT.c.epoch))
    return [Cut(*row) for row in found]


def find(db: Session, stream: Stream) -> Cut | None:
    """What was dropped of that stream."""
    at = and_(_CUT.c.device == stream[0], _CUT.c.epoch == stream[1])
    row = db.connection().execute(select(*_FIELDS).where(at)).first()
    return None if row is None else Cut(*row)


def list_old(db: Session, until: datetime) -> list[tuple[Stream, int]]:
    """Streams with events received before `until`, and the last of these: what goes with them."""
    statement = (
        select(_EVENT.c.device, _EVENT.c.epoch, func.max(_EVENT.c.sequence))
        .where(_EVENT.c.received_at < until)
        .group_by(_EVENT.c.device, _EVENT.c.epoch)
        .order_by(_EVENT.c.device, _EVENT.c.epoch)
    )
    found = db.connection().execute(statement)
    return [((device, epoch), through) for device, epoch, through in found]


def needs_words(db: Session, stream: Stream, through: int, since: datetime) -> bool:
    """Whether words of citizens among those events are not erased yet: by their own retention, or
    because nothing here ever made feedback of them and they were received after `since`.
    """
    kept = exists().where(_FEEDBACK.c.feedback_id == _EVENT.c.event_id)
    statement = select(_EVENT.c.sequence).where(
        _up_to(_EVENT, stream, through),
        _EVENT.c.sealed.is_not(None),
        or_(kept, _EVENT.c.received_at >= since),
    )
    return db.connection().execute(statement.limit(1)).first() is not None


def begin(db: Session, cuts: Sequence[Cut]) -> list[Span]:
    """From here on nothing more is added up to those positions; what is there now."""
    for cut in cuts:
        at = and_(_STREAM.c.device == cut.device, _STREAM.c.epoch == cut.epoch)
        db.connection().execute(update(_STREAM).where(at).values(dropped_through=cut.through))
    spans = []
    for cut in cuts:
        statement = select(func.min(_EVENT.c.sequence), func.count()).where(
            _up_to(_EVENT, cut.stream, cut.through)
        )
        spans.append(Span(*db.connection().execute(statement).one()))
    return spans


def drop(db: Session, cuts: Iterable[Cut], until: datetime, log_sequence: int) -> None:
    """Drops the events, behind the checkpoint at that entry of the server's log."""
    if db.get_bind().dialect.name == "postgresql":
        db.connection().execute(text(_PATIENCE))
    cuts = list(cuts)
    for cut in cuts:
        gone = _up_to(_EVENT, cut.stream, cut.through)
        told = select(_EVENT.c.event_id).where(gone, _EVENT.c.type == SUBMITTED)
        for table, is_made in (
            (_FEEDBACK, _FEEDBACK.c.feedback_id.in_(told)),
            (_FLAG, _FLAG.c.feedback_id.in_(told)),
        ):
            marking = update(table).where(is_made).values(log_sequence=log_sequence)
            db.connection().execute(marking)
        for name in cut.flags:
            of_it = update(_FLAG).where(_FLAG.c.flag_id == name)
            db.connection().execute(of_it.values(log_sequence=log_sequence))
        at = and_(_CUT.c.device == cut.device, _CUT.c.epoch == cut.epoch)
        db.connection().execute(delete(_CUT).where(at))
        row = {**dict(zip(_NAMES, cut, strict=False)), "log_sequence": log_sequence}
        db.connection().execute(_CUT.insert(), [row])
    months.drop_before(db, until)
    for cut in cuts:  # SQLite's all; PostgreSQL's that came late, or by a wrong clock
        gone = _up_to(_EVENT, cut.stream, cut.through)
        db.connection().execute(delete(_EVENT).where(gone))


def forget_derivable(db: Session) -> None:
    """Drops what is derived, except for what was derived of dropped events."""
    for table in (_SESSION, _DAY):
        of_cut = tuple_(table.c.device, table.c.epoch).in_(select(_CUT.c.device, _CUT.c.epoch))
        db.connection().execute(delete(table).where(~of_cut))
    for table in (_FEEDBACK, _FLAG):
        db.connection().execute(delete(table).where(table.c.log_sequence.is_(None)))
    for cut in list_all(db):
        for table, is_behind in (
            (_SESSION, _SESSION.c.sequence > cut.through),
            (_DAY, _DAY.c.day > _last_day(cut)),
        ):
            of_stream = and_(table.c.device == cut.device, table.c.epoch == cut.epoch)
            db.connection().execute(delete(table).where(of_stream, is_behind))


def is_derivable(cut: Cut | None, row: Mapping[str, Any]) -> bool:
    """Whether a row that a stream has made could be made again from the events that are left."""
    if cut is None:
        return True
    if "arrived_at" in row:
        return bool(row["sequence"] > cut.through)
    if "day" in row:
        return bool(row["day"] > _last_day(cut))
    return row["log_sequence"] is None


def count_kept(db: Session) -> dict[str, int]:
    """How much of what is derived was kept by `forget_derivable`."""
    return {
        table.name: db.connection().execute(select(func.count()).select_from(table)).scalar_one()
        for table in (_SESSION, _DAY, _FEEDBACK, _FLAG)
    }


def _last_day(cut: Cut) -> date:
    return date.min if cut.at is None else (cut.at + _SAME_DAY).date()


def _up_to(table: Table, stream: Stream, through: int) -> ColumnElement[bool]:
    device, epoch = stream
    return and_(table.c.device == device, table.c.epoch == epoch, table.c.sequence <= through)
