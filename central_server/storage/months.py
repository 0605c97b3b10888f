"""The event log's parts by month on PostgreSQL: made ahead, found, dropped. SQLite has one table.

The month is that of `received_at`, by the server's clock: a device's may say 1970. What no month's
part takes, because that clock was wrong for once, lies in the rest: nothing is ever refused.
Positions and ids are unique in each part by its indexes, and across parts by how events are added.
"""

import re
from datetime import UTC, datetime

from sqlalchemy import Connection, text
from sqlmodel import Session

AHEAD = 2  # months that have their part before they begin
_REST = "event_rest"
_PART = re.compile(r"event_(\d{4})_(\d\d)")
_OF_PARTS = re.compile(r"event_(rest|\d{4}_\d\d)(_.*)?")
_LOCK = 0x6D6F6E746873  # any fixed number: two servers take turns
_PARTS = text(
    "SELECT part.relname FROM pg_inherits JOIN pg_class part ON part.oid = inhrelid"
    " WHERE inhparent = 'event'::regclass ORDER BY part.relname"
)


def month_of(at: datetime, months_later: int = 0) -> datetime:
    """When the month of `at`, or one so many months from it, begins."""
    count = at.astimezone(UTC).year * 12 + at.astimezone(UTC).month - 1 + months_later
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def prepare(db: Session, now: datetime) -> None:
    """Sees to it that this month and the next ones have their parts."""
    if db.get_bind().dialect.name == "sqlite":
        return
    connection = db.connection()
    wanted = [month_of(now, later) for later in range(AHEAD + 1)]
    if missing := _missing(connection, wanted):
        make_parts(connection, missing)


def make_parts(connection: Connection, months: list[datetime]) -> None:
    """Those months' parts, where they are missing; takes out of the rest what belongs there."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    for begin in _missing(connection, months):
        part, end = _name(begin), month_of(begin, 1)
        span = {"begin": begin, "end": end}
        connection.execute(text(f"CREATE TABLE {part} (LIKE event INCLUDING DEFAULTS)"))
        connection.execute(
            text(
                f"WITH moved AS (DELETE FROM {_REST}"  # noqa: S608 - names of our own making
                " WHERE received_at >= :begin AND received_at < :end RETURNING *)"
                f" INSERT INTO {part} SELECT * FROM moved"
            ),
            span,
        )
        for columns, kind in (("device, epoch, sequence", "position"), ("device, event_id", "id")):
            connection.execute(text(f"CREATE UNIQUE INDEX {part}_{kind} ON {part} ({columns})"))
        connection.execute(
            text(
                f"ALTER TABLE event ATTACH PARTITION {part}"
                f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
            )
        )


def list_months(connection: Connection) -> list[datetime]:
    """The months that have a part, in order."""
    found = (_PART.fullmatch(name) for name in connection.execute(_PARTS).scalars())
    return [datetime(int(part[1]), int(part[2]), 1, tzinfo=UTC) for part in found if part]


def drop_before(db: Session, until: datetime) -> None:
    """Drops the parts of months that end by then; the caller knows what stands for them."""
    if db.get_bind().dialect.name == "sqlite":
        return
    for begin in list_months(db.connection()):
        if month_of(begin, 1) <= until:
            db.connection().execute(text(f"DROP TABLE {_name(begin)}"))


def is_part_of_log(name: str | None, kind: str) -> bool:
    """Whether a table's or index's name is one of those parts': no table of the schema's own."""
    return (
        kind in ("table", "index") and re.match(r"event_(rest|\d{4}_\d\d)", name or "") is not None
    )


def _missing(connection: Connection, months: list[datetime]) -> list[datetime]:
    there = set(list_months(connection))
    return [month for month in months if month not in there]


def _name(begin: datetime) -> str:
    return f"event_{begin:%Y_%m}"
