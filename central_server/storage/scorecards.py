"""What is counted for each unit's month; complaints are no figure here, only ratings."""

from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import Integer, func, or_
from sqlmodel import Session, case, cast, col, select

from central_server.domain.permissions import UnitScope
from central_server.storage.tables import (
    DeskDayRow,
    DeskRow,
    DeviceRow,
    FeedbackRow,
    SessionRow,
)


def count_sessions(
    db: Session, scope: UnitScope, since: datetime, until: datetime
) -> dict[str, tuple[int, int]]:
    """For each unit: sessions that began in that time, and the uncertain ones among them."""
    uncertain = func.sum(case((col(SessionRow.state) == "uncertain", 1), else_=0))
    query = (
        select(SessionRow.unit_id, func.count(), uncertain)
        .where(col(SessionRow.unit_id).in_(scope.unit_ids))
        .where(col(SessionRow.arrived_at) >= since, col(SessionRow.arrived_at) < until)
        .group_by(SessionRow.unit_id)
    )
    return {unit: (sessions, int(doubtful)) for unit, sessions, doubtful in db.exec(query)}


def count_ratings(
    db: Session, scope: UnitScope, since: datetime, until: datetime, satisfied_from: int
) -> dict[str, tuple[int, int]]:
    """For each unit: ratings given in that time, and the satisfied ones among them."""
    satisfied = func.sum(cast(col(FeedbackRow.rating) >= satisfied_from, Integer))
    query = (
        select(FeedbackRow.unit_id, func.count(), satisfied)
        .where(col(FeedbackRow.unit_id).in_(scope.unit_ids), col(FeedbackRow.rating).is_not(None))
        .where(col(FeedbackRow.quarter_at) >= since, col(FeedbackRow.quarter_at) < until)
        .group_by(FeedbackRow.unit_id)
    )
    return {unit: (ratings, int(happy)) for unit, ratings, happy in db.exec(query)}


def sum_observed(db: Session, scope: UnitScope, first: date, last: date) -> dict[str, float]:
    """For each unit: seconds of its desks' opening hours that were observed on those days."""
    # A desk whose device began a new epoch that day has two rows: one day, observed in two parts.
    opening, observed = func.max(DeskDayRow.opening_s), func.sum(DeskDayRow.observed_s)
    desk_days = (
        select(DeskDayRow.unit_id, case((observed > opening, opening), else_=observed).label("s"))
        .where(col(DeskDayRow.unit_id).in_(scope.unit_ids))
        .where(col(DeskDayRow.day) >= first, col(DeskDayRow.day) <= last)
        .group_by(DeskDayRow.unit_id, DeskDayRow.desk, col(DeskDayRow.day))
        .subquery()
    )
    query = select(desk_days.c.unit_id, func.sum(desk_days.c.s)).group_by(desk_days.c.unit_id)
    return dict(db.exec(query).all())


class WatchedDesk(NamedTuple):
    """A desk that should be watched: since its box was paired, or its first day on record."""

    unit_id: str
    schedule: str
    paired_at: datetime | None
    first_day: date | None


def list_watched(db: Session, scope: UnitScope) -> list[WatchedDesk]:
    """The scope's desks with a box that was ever paired, or of which any day is on record."""
    first_days = (
        select(DeskDayRow.desk, func.min(DeskDayRow.day).label("day"))
        .where(col(DeskDayRow.unit_id).in_(scope.unit_ids))
        .group_by(DeskDayRow.desk)
        .subquery()
    )
    query = (
        select(DeskRow.unit_id, DeskRow.schedule, DeviceRow.paired_at, first_days.c.day)
        .join(DeviceRow, col(DeviceRow.device_id) == col(DeskRow.device_id), isouter=True)
        .join(first_days, first_days.c.desk == col(DeskRow.desk_id), isouter=True)
        .where(col(DeskRow.unit_id).in_(scope.unit_ids))
        .where(or_(col(DeviceRow.paired_at).is_not(None), first_days.c.day.is_not(None)))
    )
    return [WatchedDesk(*row) for row in db.exec(query)]


def count_desks(db: Session, scope: UnitScope) -> dict[str, int]:
    """For each unit that has desks: how many."""
    query = (
        select(DeskRow.unit_id, func.count())
        .where(col(DeskRow.unit_id).in_(scope.unit_ids))
        .group_by(DeskRow.unit_id)
    )
    return dict(db.exec(query).all())


def count_silent_devices(db: Session, scope: UnitScope) -> dict[str, int]:
    """For each unit: paired devices that have fallen silent and were not revoked."""
    query = (
        select(DeviceRow.unit_id, func.count())
        .where(col(DeviceRow.unit_id).in_(scope.unit_ids))
        .where(col(DeviceRow.silent_since).is_not(None), col(DeviceRow.revoked_at).is_(None))
        .group_by(DeviceRow.unit_id)
    )
    return dict(db.exec(query).all())
