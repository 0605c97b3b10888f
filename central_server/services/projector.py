"""The projector's two doors: new device events, and new entries of the server's own log.

What they derive depends on what the two logs hold in the end, not on the order or number of times
in which it arrived, nor on how it was batched.
"""

from collections.abc import Iterable

from sqlmodel import Session

from central_server.services import log_projector, rule_sets, stream_projector
from central_server.services.context import ServerContext
from central_server.services.projection_run import Run
from central_server.storage import projection
from central_server.storage.streams import Stream

# One transaction for so many streams: a batch holds events of many devices, and each commit costs
# a flush to disk.
_STREAMS_AT_ONCE = 200


def project_devices(context: ServerContext, streams: Iterable[Stream]) -> None:
    """Sessions, flags, feedback and days from what arrived in those streams; call after commit."""
    for group in stream_projector.in_groups(streams, _STREAMS_AT_ONCE):
        with context.database.transaction() as db:
            run = open_run(db, context)
            stream_projector.project(run, group)
            log_projector.project(run)


def project_server_log(db: Session, context: ServerContext) -> None:
    """Takes in the log's new entries within the caller's transaction."""
    log_projector.project(open_run(db, context))


def project_behind(context: ServerContext) -> None:
    """What a crash, new rules or a changed registry left to be projected."""
    with context.database.transaction() as db:
        project_server_log(db, context)
        behind = projection.list_behind(db)
    project_devices(context, behind)


def open_run(db: Session, context: ServerContext, *, announces: bool = True) -> Run:
    """A run within that transaction."""
    return Run(db, context, rule_sets.history(db, context), context.now(), announces)
