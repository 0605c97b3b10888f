"""What a device said as feedback: the events behind a feedback row, with its later versions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import bindparam, select
from sqlmodel import Session

from central_server.storage.tables import EventRow, table_of
from event_protocol.names import floor_to_quarter

SUBMITTED = "onestop.feedback.submitted"
AMENDED = "onestop.feedback.amended"
# Forms are open for an hour; an amendment that comes much later belongs to nobody's visit.
_AMENDED_WITHIN = timedelta(hours=2)
_QUARTER = timedelta(minutes=15)


class Place(NamedTuple):
    """Where an event stands."""

    device: str
    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class DeviceFeedback:
    """Feedback as a device told it; `versions`: (sealed, body), the first tap first."""

    feedback_id: str
    device: str
    desk: str | None  # as the event says
    channel: str
    quarter_at: datetime
    versions: tuple[tuple[str | None, bytes], ...]
    places: tuple[Place, ...]


class _Said(NamedTuple):
    """One feedback event, as filed."""

    device: str
    epoch: int
    sequence: int
    event_id: str | None
    type: str | None
    desk: str | None
    time: datetime | None
    received_at: datetime
    body: bytes
    sealed: str | None


# Made once: a run asks these for each feedback, and building a statement takes longer than asking.
_EVENT = table_of(EventRow)
_SAID = select(*(_EVENT.c[name] for name in _Said._fields))
_AT = _SAID.where(
    _EVENT.c.device == bindparam("of_device"),
    _EVENT.c.epoch == bindparam("of_epoch"),
    _EVENT.c.sequence == bindparam("at"),
)
_BY_ID = _SAID.where(
    _EVENT.c.device == bindparam("of_device"),
    _EVENT.c.event_id == bindparam("named"),
    _EVENT.c.type == SUBMITTED,
)
# Neither ordered nor by device: for either, SQLite would read all that the device ever said.
_AT_DESK = _SAID.where(
    _EVENT.c.desk == bindparam("at_desk"),
    _EVENT.c.time >= bindparam("since"),
    _EVENT.c.time <= bindparam("until"),
    _EVENT.c.type == bindparam("of_type"),
)


def find_said(db: Session, said: Iterable[tuple[str, int, int]]) -> list[DeviceFeedback]:
    """The feedback that these positions begin or amend; each once, in their order."""
    found: dict[str, DeviceFeedback] = {}
    for device, epoch, sequence in said:
        row = _find(db, _AT, of_device=device, of_epoch=epoch, at=sequence)
        first = _first_of(db, row) if row is not None and row.type == AMENDED else row
        if first is not None and first.event_id is not None:
            found[first.event_id] = _with_versions(db, first)
    return list(found.values())


def places_of(db: Session, row: Mapping[str, Any]) -> list[Place]:
    """The events behind a feedback row; none if it is in the server's own log."""
    told = find_by_row(db, row)
    return [] if told is None else list(told.places)


def find_by_row(db: Session, row: Mapping[str, Any]) -> DeviceFeedback | None:
    """The events behind a feedback row that a device's event made."""
    begin: datetime = row["quarter_at"]
    for one in _list_at_desk(db, SUBMITTED, row["desk"], begin, begin + _QUARTER):
        if one.event_id == row["feedback_id"]:
            return _with_versions(db, one)
    return None


def _first_of(db: Session, amendment: _Said) -> _Said | None:
    amends = str(UUID(_data(amendment)["amends"]))
    return _find(db, _BY_ID, of_device=amendment.device, named=amends)


def _with_versions(db: Session, first: _Said) -> DeviceFeedback:
    begin = first.time or first.received_at
    there = _list_at_desk(db, AMENDED, first.desk, begin, begin + _AMENDED_WITHIN)
    amendments = sorted(
        (
            one
            for one in there
            if one.device == first.device and _data(one)["amends"] == first.event_id
        ),
        key=lambda one: (one.epoch, one.sequence),
    )
    return DeviceFeedback(
        feedback_id=first.event_id or "",
        device=first.device,
        desk=first.desk,
        channel=_data(first)["channel"],
        quarter_at=floor_to_quarter(begin),
        versions=tuple((one.sealed, one.body) for one in (first, *amendments)),
        places=tuple(Place(*one[:3]) for one in (first, *amendments)),
    )


def _list_at_desk(
    db: Session, of_type: str, desk: str | None, since: datetime, until: datetime
) -> list[_Said]:
    values = {"at_desk": desk, "since": since, "until": until, "of_type": of_type}
    return [_Said._make(row) for row in db.connection().execute(_AT_DESK, values)]


def _find(db: Session, statement: Any, **values: object) -> _Said | None:
    row = db.connection().execute(statement, values).first()
    return None if row is None else _Said._make(row)


def _data(said: _Said) -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(said.body)["data"]
    return data
