"""Derives everything again from the two logs: the proof that nothing else was ever needed.

Where retention has dropped events, their checkpoint stands for them: it goes on from there.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from central_server.services import log_projector, stream_projector
from central_server.services.context import ServerContext
from central_server.services.projector import open_run
from central_server.storage import evidence, projection, server_log, stream_cuts

_STREAMS_AT_ONCE = 20
Progress = Callable[[int, int], None]  # streams done, streams in all


class Kept(NamedTuple):
    """What could not be derived again, for its events were dropped by retention: it stays as it is.

    `rows`: how many of each kind; `streams`: epochs whose beginning is gone.
    """

    streams: int
    rows: Mapping[str, int]


def rebuild(context: ServerContext, progress: Progress = lambda done, total: None) -> Kept:
    """Drops and derives sessions, flags, feedback, days and requests for pictures, all or nothing.

    One transaction. Nobody is told anew of what was known before.
    """
    with context.database.transaction() as db:
        projection.forget_projection(db)
        kept = Kept(len(stream_cuts.list_all(db)), stream_cuts.count_kept(db))
        evidence.forget(db)
        run = open_run(db, context, announces=False)
        for logged in server_log.read_after(db, 0):
            log_projector.take_inputs(run, logged)
        run = open_run(db, context, announces=False)
        streams = projection.list_streams(db)
        done = 0
        progress(done, len(streams))
        for group in stream_projector.in_groups(streams, _STREAMS_AT_ONCE):
            stream_projector.project_whole(run, group)
            done += len(group)
            progress(done, len(streams))
        log_projector.project(run)
    return kept
