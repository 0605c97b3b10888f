"""Notifications of grave flags: made once for each level, claimed by one worker at a time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select, update

from central_server.domain.rules import Severity
from central_server.storage.tables import (
    DeskRow,
    FlagRow,
    NotificationRow,
    UnitRow,
)
from event_protocol.names import floor_to_quarter

_QUARTER = timedelta(minutes=15)
_OPEN = "open"  # taken or dismissed: somebody knows; withdrawn: nothing is left to know


@dataclass(frozen=True, slots=True)
class Claimed:
    """One notification that this worker alone may send until its lease ends."""

    notification_id: int
    flag_id: str
    level: int
    attempts: int  # this one included
    delivered: frozenset[str]
    rule: str
    reasons: tuple[str, ...]
    unit_name: str
    desk_name: str | None


def _insert(db: Session) -> sqlite.Insert | postgresql.Insert:
    is_sqlite = db.get_bind().dialect.name == "sqlite"
    return (sqlite.insert if is_sqlite else postgresql.insert)(NotificationRow)


def add_missing(db: Session, levels: int, now: datetime, escalate_after: timedelta) -> None:
    """Each open critical flag gets a row for each level; the clock of all levels starts now.

    Due by the quarter of an hour, the first level at once: the exact time of a complaint's flag
    beside a camera's picture would name the citizen.
    """
    for level in range(levels):
        escalated_at = now + level * escalate_after
        due_at = floor_to_quarter(now) if level == 0 else _next_quarter(escalated_at)
        known = select(NotificationRow.flag_id).where(NotificationRow.level == level)
        grave = select(FlagRow.flag_id).where(
            FlagRow.severity == Severity.CRITICAL.value,
            FlagRow.state == _OPEN,
            col(FlagRow.flag_id).not_in(known),
        )
        rows = [
            {
                "flag_id": flag_id,
                "level": level,
                "due_at": due_at,
                "attempts": 0,
                "delivered": [],
            }
            for flag_id in db.exec(grave)
        ]
        if rows:  # another worker may add the same at the same time
            db.connection().execute(_insert(db).on_conflict_do_nothing(), rows)


def _next_quarter(at: datetime) -> datetime:
    begun = floor_to_quarter(at)
    return begun if begun == at else begun + _QUARTER


def claim_due(db: Session, levels: int, now: datetime, lease: timedelta) -> Claimed | None:
    """The longest due notification of an open flag that nobody acknowledged, if there is one.

    It is due again when the lease ends, should this worker die before it says how it went.
    """
    found = db.exec(
        select(NotificationRow, FlagRow)
        .join(FlagRow, col(FlagRow.flag_id) == col(NotificationRow.flag_id))
        .where(
            col(NotificationRow.due_at) <= now,
            col(NotificationRow.sent_at).is_(None),
            col(NotificationRow.acknowledged_at).is_(None),
            col(NotificationRow.level) < levels,
            FlagRow.state == _OPEN,
        )
        .order_by(col(NotificationRow.due_at), col(NotificationRow.notification_id))
        .limit(1)
        .with_for_update(of=NotificationRow, skip_locked=True)
    ).first()
    if found is None:
        return None
    row, flag = found
    row.due_at = now + lease
    row.attempts += 1
    db.flush()
    unit = db.get(UnitRow, flag.unit_id)
    desk = db.get(DeskRow, flag.desk) if flag.desk else None
    return Claimed(
        notification_id=row.notification_id or 0,
        flag_id=flag.flag_id,
        level=row.level,
        attempts=row.attempts,
        delivered=frozenset(row.delivered),
        rule=flag.rule,
        reasons=tuple(flag.facts.get("reasons", ())),
        unit_name=flag.unit_id if unit is None else unit.name,
        desk_name=None if desk is None else desk.name,
    )


def record_outcome(
    db: Session,
    notification_id: int,
    *,
    delivered: frozenset[str],
    error: str | None,
    sent_at: datetime | None,
    due_at: datetime,
) -> None:
    """How a claimed notification went; `sent_at` is set once every target has it."""
    row = db.get_one(NotificationRow, notification_id)
    row.delivered = sorted(delivered)
    row.last_error = error
    row.sent_at = sent_at
    row.due_at = due_at


def acknowledge(db: Session, flag_id: str, by: str, at: datetime) -> None:
    """Somebody knows: no level of this flag is told any more."""
    db.exec(
        update(NotificationRow)
        .where(
            col(NotificationRow.flag_id) == flag_id,
            col(NotificationRow.acknowledged_at).is_(None),
        )
        .values(acknowledged_by=by, acknowledged_at=at)
    )
