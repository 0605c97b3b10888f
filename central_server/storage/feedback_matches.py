"""What feedback may meet: which feedback to look at again, its desk's sessions and progress."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, or_, select
from sqlmodel import Session

from central_server.storage.tables import DeskRow, FeedbackRow, SessionRow, StreamRow, table_of

_ASKED_AT_ONCE = 500
_NEVER = datetime.max.replace(tzinfo=UTC)
_SLACK = timedelta(minutes=20)  # a quarter of an hour and the three minutes after a session
# No citizen sits at a desk for longer; without a limit all that the desk ever saw would be read.
_LONGEST_STAY = timedelta(days=1)

_FEEDBACK, _SESSION = table_of(FeedbackRow), table_of(SessionRow)
_DESK, _STREAM = table_of(DeskRow), table_of(StreamRow)

# Made once: building a statement takes longer than asking.
_AFFECTED = select(
    *(_FEEDBACK.c[name] for name in ("feedback_id", "channel", "desk", "quarter_at", "exact_at"))
).where(
    _FEEDBACK.c.desk.in_(bindparam("desks", expanding=True)),
    # The exact time is kept for just as long as a feedback waits.
    or_(_FEEDBACK.c.exact_at.is_not(None), _FEEDBACK.c.quarter_at >= bindparam("changed_since")),
)
_STAY = select(_SESSION.c.session_id, _SESSION.c.arrived_at, _SESSION.c.ended_at).where(
    _SESSION.c.desk == bindparam("at_desk")
)
_AROUND = _STAY.where(
    _SESSION.c.arrived_at <= bindparam("at"),
    _SESSION.c.arrived_at >= bindparam("earliest"),
    or_(_SESSION.c.ended_at.is_(None), _SESSION.c.ended_at >= bindparam("still_there")),
).order_by(_SESSION.c.session_id)
_NAMED = _STAY.where(_SESSION.c.session_id == bindparam("named"))
_PROGRESS = (
    select(_DESK.c.desk_id, _DESK.c.device_id, func.max(_STREAM.c.projected_at))
    .join(_STREAM, _DESK.c.device_id == _STREAM.c.device, isouter=True)
    .where(_DESK.c.desk_id.in_(bindparam("desks", expanding=True)))
    .group_by(_DESK.c.desk_id, _DESK.c.device_id)
)


@dataclass(frozen=True, slots=True)
class Progress:
    """The event time up to which a desk's device is projected; `None` before its first event."""

    is_watched: bool  # only then may a session still come
    until: datetime | None


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
    changed_since = min(earliest_change.values(), default=_NEVER - _SLACK) - _SLACK
    ordered, found = sorted({*desks, *earliest_change}), []
    for start in range(0, len(ordered), _ASKED_AT_ONCE):
        some = ordered[start : start + _ASKED_AT_ONCE]
        values = {"desks": some, "changed_since": changed_since}
        rows = db.connection().execute(_AFFECTED, values).all()
        progress = read_progress(db, {row.desk for row in rows if row.exact_at is not None})
        for feedback_id, channel, desk, quarter_at, exact_at in rows:
            since = earliest_change.get(desk, _NEVER)
            if _is_due(exact_at, progress.get(desk), settled_after) or quarter_at >= since - _SLACK:
                found.append(
                    {
                        "feedback_id": feedback_id,
                        "channel": channel,
                        "desk": desk,
                        "quarter_at": quarter_at,
                    }
                )
    return sorted(found, key=lambda row: str(row["feedback_id"]))


def list_stays(
    db: Session, desk: str, at: datetime, within: timedelta, named: str | None
) -> list[tuple[str, datetime, datetime | None]]:
    """The desk's sessions (id, arrival, end) around `at`, and the one named."""
    values = {"at_desk": desk, "at": at, "earliest": at - _LONGEST_STAY, "still_there": at - within}
    stays = {row[0]: row for row in db.connection().execute(_AROUND, values)}
    if named is not None and named not in stays:
        by_name = {"at_desk": desk, "named": named}
        stays.update({row[0]: row for row in db.connection().execute(_NAMED, by_name)})
    return [
        (session_id, arrived_at, ended_at) for session_id, arrived_at, ended_at in stays.values()
    ]


def read_progress(db: Session, desks: Collection[str]) -> dict[str, Progress]:
    """How far each of those desks is known."""
    ordered, found = sorted(desks), {}
    for start in range(0, len(ordered), _ASKED_AT_ONCE):
        values = {"desks": ordered[start : start + _ASKED_AT_ONCE]}
        for desk, device, until in db.connection().execute(_PROGRESS, values):
            found[desk] = Progress(device is not None, until)
    return found


def _is_due(exact_at: datetime | None, desk: Progress | None, settled_after: timedelta) -> bool:
    if exact_at is None:
        return False
    until = None if desk is None else desk.until
    return until is None or until >= exact_at + settled_after
