"""Derives everything again from the two logs: the proof that nothing else was ever needed."""

from collections.abc import Callable

from central_server.services import log_projector, stream_projector
from central_server.services.context import ServerContext
from central_server.services.projector import open_run
from central_server.storage import evidence, projection, server_log

_STREAMS_AT_ONCE = 20
Progress = Callable[[int, int], None]  # streams done, streams in all


def rebuild(context: ServerContext, progress: Progress = lambda done, total: None) -> None:
    """Drops and derives sessions, flags, feedback, days and requests for pictures, all or nothing.

    One transaction. Nobody is told anew of what was known before.
    """
    with context.database.transaction() as db:
        projection.forget_projection(db)
        evidence.forget(db)
        run = open_run(db, context, announces=False)
        for logged in server_log.read_after(db, 0):
            log_projector.take_inputs(run, logged)
        run = open_run(db, context, announces=False)
        streams = projection.list_streams(db)
        done = 0
        progress(done, len(streams))
        for group in stream_projector.in_groups(streams, _STREAMS_AT_ONCE):
            stream_projector.project(run, group)
            done += len(group)
            progress(done, len(streams))
        log_projector.project(run)
