"""One run of the projector inside one transaction: what it knows, and how it writes flags."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session

from central_server.domain.flags import Flag
from central_server.domain.rules import RuleHistory
from central_server.domain.server_log import FlagWithdrawn
from central_server.services.context import ServerContext
from central_server.services.derived_rows import flag_row
from central_server.storage import projection, server_log


@dataclass(slots=True)
class Run:
    """`announces`: open pages learn of new and changed flags; a rebuild has nothing new to tell.

    They do by `announce`, once at the run's end: what it locks nobody may hold for longer.
    """

    db: Session
    context: ServerContext
    rules: RuleHistory
    now: datetime
    announces: bool = True
    changed_flags: list[str] = field(default_factory=list)


def announce(run: Run) -> None:
    """Tells open pages of the flags that this run has written."""
    if run.changed_flags:
        projection.add_to_feed(run.db, run.changed_flags, run.now)
        run.changed_flags = []


def write_flags(run: Run, flags: Iterable[Flag]) -> None:
    """Writes those that are new or have changed; what people decided on them stays."""
    wanted = {flag.flag_id: flag for flag in flags}
    if not wanted:
        return
    before = projection.find_rows(run.db, projection.FLAG, "flag_id", wanted)
    rows = [flag_row(flag, before.get(name)) for name, flag in wanted.items()]
    write_flag_rows(run, [row for row in rows if row != before.get(row["flag_id"])])


def write_flag_rows(run: Run, rows: list[dict[str, Any]]) -> None:
    """Writes flags that are known to be new or changed."""
    if rows:
        projection.upsert(run.db, projection.FLAG, rows)
        if run.announces:
            run.changed_flags += [row["flag_id"] for row in rows]


def withdraw_flags(run: Run, rows: Iterable[Mapping[str, Any]]) -> None:
    """Late facts disproved them: their last form goes into the log, so that a rebuild shows it."""
    withdrawn = []
    for row in rows:
        form = {**row, **{name: _text(row[name]) for name in _TIMES}}
        server_log.append(
            run.db, FlagWithdrawn(flag_id=UUID(row["flag_id"]), flag=form), at=run.now
        )
        withdrawn.append({**row, "state": "withdrawn"})
    write_flag_rows(run, withdrawn)


def withdrawn_row(entry: FlagWithdrawn) -> dict[str, Any]:
    """The row that a withdrawn flag leaves, from its log entry."""
    row = dict(entry.flag)
    for name in _TIMES:
        # The log leaves out what is not there.
        row[name] = datetime.fromisoformat(row[name]) if row.get(name) else None
    empty = dict.fromkeys(column.name for column in projection.FLAG.columns)
    return {**empty, **row, "state": "withdrawn"}


_TIMES = ("begin", "end", "decided_at")


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
