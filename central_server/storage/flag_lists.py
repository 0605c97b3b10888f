"""Flags as pages list them: the gravest first, of equals the newest, filtered, a page at a time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, or_
from sqlmodel import Session, col, select

from central_server.domain.permissions import FlagScope
from central_server.storage.tables import FeedbackRow, FlagFeedRow, FlagRow, NotificationRow

SEVERITIES = ("critical", "major", "minor")
ACTIVE = ("open", "taken")  # what somebody still has to decide
STATES = ("open", "taken", "dismissed", "withdrawn")
_rank: ColumnElement[int] = case(
    {name: rank for rank, name in enumerate(SEVERITIES)}, value=col(FlagRow.severity)
)


@dataclass(frozen=True, slots=True)
class FlagFilter:
    """What of a scope's flags is asked for; `since` ≤ begin < `until`."""

    states: tuple[str, ...] = ACTIVE
    rule: str | None = None
    severity: str | None = None
    desk: str | None = None
    device: str | None = None
    session_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class FlagPlace:
    """Where a page of the list ended."""

    rank: int
    begin: datetime
    flag_id: str


def place_of(flag: FlagRow) -> FlagPlace:
    """The flag's place in the list's order."""
    return FlagPlace(SEVERITIES.index(flag.severity), flag.begin, flag.flag_id)


def list_flags(
    db: Session,
    scope: FlagScope,
    wanted: FlagFilter,
    *,
    limit: int,
    after: FlagPlace | None = None,
) -> list[FlagRow]:
    """The gravest first, of equals the newest; at most `limit` behind `after`."""
    query = select(FlagRow).where(_visible(scope), _wanted(wanted))
    if after is not None:
        query = query.where(_behind(after))
    query = query.order_by(_rank, col(FlagRow.begin).desc(), col(FlagRow.flag_id)).limit(limit)
    return list(db.exec(query))


def count_flags(db: Session, scope: FlagScope, wanted: FlagFilter) -> dict[str, int]:
    """How many of each severity the list holds."""
    query = select(FlagRow.severity, func.count()).where(_visible(scope), _wanted(wanted))
    return dict(db.exec(query.group_by(FlagRow.severity)).all())


def count_by_unit(db: Session, scope: FlagScope, wanted: FlagFilter) -> dict[str, int]:
    """How many flags the list holds for each unit that has any."""
    query = select(FlagRow.unit_id, func.count()).where(_visible(scope), _wanted(wanted))
    return dict(db.exec(query.group_by(FlagRow.unit_id)).all())


def find_flag(db: Session, scope: FlagScope, flag_id: str) -> FlagRow | None:
    """The flag, if the scope holds it."""
    return db.exec(select(FlagRow).where(_visible(scope), FlagRow.flag_id == flag_id)).first()


def list_latest(
    db: Session, scope: FlagScope, wanted: FlagFilter, *, besides: str, limit: int
) -> list[FlagRow]:
    """The latest of the list, but for one."""
    query = select(FlagRow).where(_visible(scope), _wanted(wanted), FlagRow.flag_id != besides)
    return list(db.exec(query.order_by(col(FlagRow.begin).desc()).limit(limit)))


def last_notification(db: Session, flag: FlagRow) -> NotificationRow | None:
    """The highest level to which a flag's notification has come; the flag was found in a scope."""
    query = select(NotificationRow).where(
        NotificationRow.flag_id == flag.flag_id,
        or_(col(NotificationRow.level) == 0, col(NotificationRow.attempts) > 0),
    )
    return db.exec(query.order_by(col(NotificationRow.level).desc())).first()


def feedback_of(db: Session, flag: FlagRow) -> FeedbackRow | None:
    """The complaint behind a flag that was found in a scope."""
    return None if flag.feedback_id is None else db.get(FeedbackRow, flag.feedback_id)


def pick_flags(
    db: Session, scope: FlagScope, wanted: FlagFilter, flag_ids: list[str]
) -> tuple[list[FlagRow], list[str]]:
    """Of these flags: those that the list holds, and the ids of those in scope that it does not."""
    query = select(FlagRow).where(_visible(scope), col(FlagRow.flag_id).in_(flag_ids))
    visible = {flag.flag_id for flag in db.exec(query)}
    listed = list(db.exec(query.where(_wanted(wanted))))
    return listed, sorted(visible - {flag.flag_id for flag in listed})


def feed_head(db: Session, scope: FlagScope) -> int:
    """The number of the last change that this viewer's open pages could know.

    Changes out of scope don't move it: a chief could count complaints by it as they come in.
    """
    # Backwards from the newest, not the greatest of all: nearly always the first one is in scope.
    query = (
        select(FlagFeedRow.feed_id)
        .join(FlagRow, col(FlagRow.flag_id) == col(FlagFeedRow.flag_id))
        .where(_visible(scope))
        .order_by(col(FlagFeedRow.feed_id).desc())
        .limit(1)
    )
    return db.exec(query).first() or 0


def changed_after(db: Session, scope: FlagScope, feed_id: int, limit: int) -> tuple[int, list[str]]:
    """The scope's flags changed since that number, and the number up to which this is told."""
    query = (
        select(FlagFeedRow.feed_id, FlagFeedRow.flag_id)
        .join(FlagRow, col(FlagRow.flag_id) == col(FlagFeedRow.flag_id))
        .where(_visible(scope), col(FlagFeedRow.feed_id) > feed_id)
        .order_by(col(FlagFeedRow.feed_id))
        .limit(limit)
    )
    rows = list(db.exec(query))
    last = rows[-1][0] if rows else None
    return (feed_id if last is None else last), list(dict.fromkeys(flag for _, flag in rows))


def _visible(scope: FlagScope) -> ColumnElement[bool]:
    in_units = col(FlagRow.unit_id).in_(scope.units.unit_ids)
    return in_units if scope.inspection else and_(in_units, ~col(FlagRow.inspection_only))


def _wanted(wanted: FlagFilter) -> ColumnElement[bool]:
    equal = {
        col(FlagRow.rule): wanted.rule,
        col(FlagRow.severity): wanted.severity,
        col(FlagRow.desk): wanted.desk,
        col(FlagRow.device): wanted.device,
        col(FlagRow.session_id): wanted.session_id,
    }
    parts = [column == value for column, value in equal.items() if value is not None]
    if wanted.since is not None:
        parts.append(col(FlagRow.begin) >= wanted.since)
    if wanted.until is not None:
        parts.append(col(FlagRow.begin) < wanted.until)
    return and_(col(FlagRow.state).in_(wanted.states), *parts)


def _behind(place: FlagPlace) -> ColumnElement[bool]:
    begin = col(FlagRow.begin)
    return or_(
        _rank > place.rank,
        and_(
            _rank == place.rank,
            or_(
                begin < place.begin,
                and_(begin == place.begin, col(FlagRow.flag_id) > place.flag_id),
            ),
        ),
    )
