"""The projector's two doors: new device events, and new entries of the server's own log.

What they derive depends on what the two logs hold in the end, not on the order or number of times
in which it arrived, nor on how it was batched.
"""

from collections.abc import Iterable

from sqlmodel import Session

from central_server.services import log_projector, rule_sets, stream_projector
from central_server.services.context import ServerContext
from central_server.services.projection_run import Run, announce
from central_server.storage import projection, server_log
from central_server.storage.streams import Stream

# One transaction for so many streams: a batch holds events of many devices, and each commit costs
# a flush to disk. Where several project at once: few, for intake waits for the streams held.
_STREAMS_AT_ONCE, _SHARED_AT_ONCE = 200, 20


def project_devices(
    context: ServerContext, streams: Iterable[Stream], *, shares: bool = False
) -> None:
    """Sessions, flags, feedback and days from what arrived in those streams; call after commit.

    `shares`: other processes project, too; a device that one of them has in hand is left to it.
    """
    at_once = _SHARED_AT_ONCE if shares else _STREAMS_AT_ONCE
    for group in stream_projector.in_groups(streams, at_once):
        with context.database.transaction() as db:
            run = open_run(db, context)
            left = stream_projector.project(run, _lock(db, group, shares))
            announce(run)
        if left:
            _derive_anew(context, left, shares)
    _project_log(context)


def project_server_log(db: Session, context: ServerContext) -> None:
    """Takes in the log's new entries within the caller's transaction."""
    run = open_run(db, context)
    log_projector.project(run)
    announce(run)


def project_behind(context: ServerContext) -> None:
    """What a crash, new rules or a changed registry left to be projected."""
    _project_log(context)
    with context.database.reading() as db:
        behind = projection.list_behind(db)
    project_devices(context, behind, shares=True)


def open_run(db: Session, context: ServerContext, *, announces: bool = True) -> Run:
    """A run within that transaction."""
    return Run(db, context, rule_sets.history(db, context), context.now(), announces)


def _derive_anew(context: ServerContext, streams: Iterable[Stream], shares: bool) -> None:
    """Withdraws flags, which the log records: so the log is locked before the streams."""
    with context.database.transaction() as db:
        server_log.lock(db)
        run = open_run(db, context)
        stream_projector.refold(run, _lock(db, streams, shares))
        announce(run)


def _project_log(context: ServerContext) -> None:
    with context.database.reading() as db:
        if not log_projector.is_behind(db):
            return
    with context.database.transaction() as db:
        project_server_log(db, context)


def _lock(db: Session, streams: Iterable[Stream], shares: bool) -> list[projection.StreamPosition]:
    lock = projection.lock_free_streams if shares else projection.lock_streams
    return lock(db, streams)
