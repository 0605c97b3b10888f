"""Old months of devices' events go, if the settings say so, behind a signed checkpoint in the log.

What was derived of them stays, and so does the fold of each stream at that point: what comes late,
other rules and a rebuild begin there. A month waits while words of citizens in it are kept, or
while a gap in it is open. Runs now and then; what is dropped already is not looked at again.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from central_server.domain.custody_log import EventsDropped, StreamsCut
from central_server.domain.streams import dump_stream
from central_server.services import anchors, projector, stream_projector
from central_server.services.context import ServerContext
from central_server.services.projection_run import Run
from central_server.storage import months, server_log, stream_cuts
from central_server.storage.stream_cuts import Cut, Span

SPANS_IN_ONE_ENTRY = 1000
DROPPED: str = EventsDropped.model_fields["type"].default

_log = structlog.get_logger()


class _WaitsError(Exception):
    """The month can't go yet; the text says why."""


def run_due(context: ServerContext) -> EventsDropped | None:
    """Drops what is due; the checkpoint, or `None` if nothing went. May be repeated."""
    keep = context.settings.events_months
    return None if keep is None else drop(context, months.month_of(context.now(), -keep))


def drop(context: ServerContext, until: datetime) -> EventsDropped | None:
    """Drops what was received before that month's beginning, if nothing of it must wait."""
    try:
        with context.database.reading() as db:
            if _is_done(db, until):
                return None
            cuts = list(_find_cuts(projector.open_run(db, context, announces=False), until))
        return _drop(context, cuts, until, context.now()) if cuts else None
    except (_WaitsError, OperationalError) as error:
        reason = str(error) if isinstance(error, _WaitsError) else str(error.orig)
        _log.warning("old events wait", until=f"{until:%Y-%m}", reason=reason)
        return None


def _is_done(db: Session, until: datetime) -> bool:
    last = server_log.find(db, server_log.last_sequence_of(db, DROPPED))
    return last is not None and isinstance(last.entry, EventsDropped) and last.entry.until >= until


def _find_cuts(run: Run, until: datetime) -> Iterator[Cut]:
    """Where each stream will be cut, and how it stood there."""
    longest = max(period.complaints_days for period in run.context.settings.retention)
    for stream, through in stream_cuts.list_old(run.db, until):
        name = f"{stream[0]}/{stream[1]}"
        if stream_cuts.needs_words(run.db, stream, through, run.now - timedelta(days=longest)):
            raise _WaitsError(f"words of citizens in {name} are kept longer")
        fold = stream_projector.fold_through(run, stream, through)
        if fold is None or fold.stream.head is None:
            raise _WaitsError(f"{name} is not projected up to {through}")
        state = dump_stream(fold.stream)
        flags = tuple(fold.changes.flags)
        yield Cut(*stream, through, fold.stream.head, fold.stream.latest, state, flags)


def _drop(
    context: ServerContext, cuts: Sequence[Cut], until: datetime, now: datetime
) -> EventsDropped:
    """In one transaction with the checkpoint that stands for it."""
    with context.database.transaction() as db:
        server_log.lock(db)
        spans = stream_cuts.begin(db, cuts)
        told = [_told(cut, span) for cut, span in zip(cuts, spans, strict=True)]
        starts = range(0, len(told), SPANS_IN_ONE_ENTRY)
        for start in starts:
            group = tuple(told[start : start + SPANS_IN_ONE_ENTRY])
            server_log.append(db, StreamsCut(spans=group), at=now)
        entry = EventsDropped(
            until=until,
            events=sum(span.events for span in spans),
            streams=len(starts),
            head=anchors.sign_tip(context, db, now),
        )
        logged = server_log.append(db, entry, at=now)
        stream_cuts.drop(db, cuts, until, logged.sequence)
        projector.project_server_log(db, context)
    _log.info("events dropped", until=f"{until:%Y-%m}", events=entry.events, streams=len(cuts))
    return entry


def _told(cut: Cut, span: Span) -> tuple[str, int, int, int, str, int]:
    return (cut.device, cut.epoch, span.first, cut.through, cut.hash, span.events)
