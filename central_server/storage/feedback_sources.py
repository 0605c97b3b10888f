"""Where feedback comes from and what it may meet: its events, the desk's sessions and progress."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import and_, func, or_
from sqlmodel import Session, col, select

from central_server.domain.flags import Place
from central_server.domain.streams import may_speak_for
from central_server.storage.tables import (
    DeskRow,
    DeviceRow,
    EventRow,
    FeedbackRow,
    SessionRow,
    StreamRow,
)
from event_protocol.names import floor_to_quarter

SUBMITTED = "onestop.feedback.submitted"
AMENDED = "onestop.feedback.amended"
# Forms are open for an hour; an amendment that comes much later belongs to nobody's visit.
_AMENDED_WITHIN = timedelta(hours=2)
_QUARTER = timedelta(minutes=15)
_ASKED_AT_ONCE = 500
_NEVER = datetime.max.replace(tzinfo=UTC)
_SLACK = timedelta(minutes=20)  # a quarter of an hour and the three minutes after a session


@dataclass(frozen=True, slots=True)
class DeviceFeedback:
    """Feedback as a device told it; `versions`: (sealed, body), the first tap first."""

    feedback_id: str
    device: str
    desk: str | None  # as the event says
    channel: str
    quarter_at: datetime
    versions: tuple[tuple[str | None, bytes], ...]


def find_said(db: Session, said: Iterable[tuple[str, int, int]]) -> list[DeviceFeedback]:
    """The feedback that these positions begin or amend; each once, in their order."""
    found: dict[str, DeviceFeedback] = {}
    for place in said:
        row = db.get(EventRow, place)
        first = row if row is None or row.type == SUBMITTED else _first_of(db, row)
        if first is not None and first.event_id is not None:
            found[first.event_id] = _with_versions(db, first)
    return list(found.values())


def find_by_row(db: Session, row: Mapping[str, Any]) -> DeviceFeedback | None:
    """The events behind a feedback row that a device's event made."""
    begin: datetime = row["quarter_at"]
    first = db.exec(
        select(EventRow).where(
            EventRow.desk == row["desk"],
            col(EventRow.time) >= begin,
            col(EventRow.time) < begin + _QUARTER,
            EventRow.type == SUBMITTED,
            EventRow.event_id == row["feedback_id"],
        )
    ).first()
    return None if first is None else _with_versions(db, first)


def list_affected(
    db: Session,
    desks: Collection[str],
    earliest_change: Mapping[str, datetime],
    settled_after: timedelta,
) -> list[dict[str, Any]]:
    """Feedback at those desks that waits for a session, or whose sessions may have changed.

    What waits at a desk without a new session goes on waiting until the desk is projected
    `settled_after` past it; until then it is left out.
    """
    changed_since = min(earliest_change.values(), default=_NEVER) - _SLACK
    ordered, found = sorted({*desks, *earliest_change}), []
    for start in range(0, len(ordered), _ASKED_AT_ONCE):
        some = ordered[start : start + _ASKED_AT_ONCE]
        # The exact time is kept for just as long as a feedback waits.
        statement = select(
            FeedbackRow.feedback_id, FeedbackRow.desk, FeedbackRow.quarter_at, FeedbackRow.exact_at
        ).where(
            col(FeedbackRow.desk).in_(some),
            or_(
                col(FeedbackRow.exact_at).is_not(None),
                col(FeedbackRow.quarter_at) >= changed_since,
            ),
        )
        rows = db.exec(statement).all()
        until = list_projected_until(db, some) if rows else {}
        for feedback_id, desk, quarter_at, exact_at in rows:
            at = until.get(desk or "")
            is_due = exact_at is not None and (at is None or at >= exact_at + settled_after)
            since = earliest_change.get(desk or "", _NEVER)
            if is_due or quarter_at >= since - _SLACK:
                found.append({"feedback_id": feedback_id, "desk": desk, "quarter_at": quarter_at})
    return sorted(found, key=lambda row: str(row["feedback_id"]))


def list_stays(
    db: Session, desk: str, at: datetime, within: timedelta, named: str | None
) -> list[tuple[str, datetime, datetime | None]]:
    """The desk's sessions (id, arrival, end) around `at`, and the one named."""
    around = and_(
        col(SessionRow.arrived_at) <= at,
        or_(col(SessionRow.ended_at).is_(None), col(SessionRow.ended_at) >= at - within),
    )
    statement = select(SessionRow.session_id, SessionRow.arrived_at, SessionRow.ended_at).where(
        SessionRow.desk == desk, or_(around, col(SessionRow.session_id) == named)
    )
    return [
        (one, begin, end) for one, begin, end in db.exec(statement.order_by(SessionRow.session_id))
    ]


def is_watched(db: Session, desk: str) -> bool:
    """Whether a device watches the desk: only then may a session of it still come."""
    row = db.get(DeskRow, desk)
    return row is not None and row.device_id is not None


def projected_until(db: Session, desk: str) -> datetime | None:
    """The event time up to which the desk's device is projected."""
    return list_projected_until(db, [desk]).get(desk)


def list_projected_until(db: Session, desks: Collection[str]) -> dict[str, datetime]:
    """For each of those desks the event time up to which its device is projected, if it is."""
    statement = (
        select(DeskRow.desk_id, func.max(StreamRow.projected_at))
        .join(StreamRow, col(DeskRow.device_id) == col(StreamRow.device))
        .where(col(DeskRow.desk_id).in_(desks))
        .group_by(col(DeskRow.desk_id))
    )
    return {desk: at for desk, at in db.exec(statement) if at is not None}


def place_of(db: Session, said: DeviceFeedback) -> Place:
    """Whom it concerns; a desk that the device may not speak for is left out."""
    device = db.get(DeviceRow, said.device)
    unit_id = device.unit_id if device else ""
    desk = db.get(DeskRow, said.desk) if said.desk else None
    if desk is None or not may_speak_for(said.device, unit_id, desk.device_id, desk.unit_id):
        return Place(unit_id, said.device)
    return Place(desk.unit_id, said.device, None, desk.desk_id)


def _first_of(db: Session, amendment: EventRow) -> EventRow | None:
    if amendment.type != AMENDED:
        return None
    return db.exec(
        select(EventRow).where(
            EventRow.device == amendment.device,
            EventRow.event_id == str(UUID(orjson.loads(amendment.body)["data"]["amends"])),
            EventRow.type == SUBMITTED,
        )
    ).first()


def _with_versions(db: Session, first: EventRow) -> DeviceFeedback:
    begin = first.time or first.received_at
    # Neither ordered nor by device: for either, SQLite would read all that the device ever said.
    there = db.exec(
        select(EventRow).where(
            EventRow.desk == first.desk,
            col(EventRow.time) >= begin,
            col(EventRow.time) <= begin + _AMENDED_WITHIN,
            EventRow.type == AMENDED,
        )
    )
    amendments = sorted(
        (row for row in there if row.device == first.device and _amends(row) == first.event_id),
        key=lambda row: (row.epoch, row.sequence),
    )
    data = orjson.loads(first.body)["data"]
    rows = [first, *amendments]
    return DeviceFeedback(
        feedback_id=first.event_id or "",
        device=first.device,
        desk=first.desk,
        channel=data["channel"],
        quarter_at=floor_to_quarter(begin),
        versions=tuple((row.sealed, row.body) for row in rows),
    )


def _amends(row: EventRow) -> str:
    return str(orjson.loads(row.body)["data"]["amends"])
