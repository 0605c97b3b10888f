"""Streams to what is derived: reads new events, lets the domain fold them, writes the changes.

A stream's fold, its position and what it derived are written in one transaction. What can't be
continued (late events behind a gap that was given up, other rules, another registry) is folded
again from the start; what then no longer follows is dropped, and flags are withdrawn.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Table

from central_server.domain.flags import Flag, Place
from central_server.domain.streams import (
    FEEDBACK_TYPES,
    Setting,
    StreamEvent,
    StreamFold,
    dump_stream,
    load_stream,
)
from central_server.services import derived_rows, feedback_projector
from central_server.services.derived_rows import Row
from central_server.services.feedback_projector import SaidAt
from central_server.services.projection_run import Run, withdraw_flags, write_flags
from central_server.storage import desk_settings, projection, stream_cuts
from central_server.storage.desk_settings import KnownDevice
from central_server.storage.projection import Row as MadeRow
from central_server.storage.projection import StreamPosition
from central_server.storage.stream_cuts import Cut
from central_server.storage.streams import Stream

# Flags that other logs raise about a stream are not the fold's to withdraw.
_FROM_ELSEWHERE = frozenset({"complaint", "device_silent"})


@dataclass(slots=True)
class _Batch:
    """What all streams of one run changed together."""

    sessions: list[Row] = field(default_factory=list)
    days: list[Row] = field(default_factory=list)
    flags: list[Flag] = field(default_factory=list)
    feedback: list[SaidAt] = field(default_factory=list)
    earliest: dict[str, datetime] = field(default_factory=dict)  # changed sessions, by desk


def project(run: Run, positions: Sequence[StreamPosition]) -> list[Stream]:
    """Projects what is new in those streams, which are locked; returns those to derive anew.

    The caller's transaction makes it one step.
    """
    settings = desk_settings.read_devices(run.db, {one.device for one in positions})
    batch = _Batch()
    easy: list[StreamPosition] = []
    changed: list[StreamPosition] = []
    left: list[Stream] = []
    for position in positions:
        if _must_refold(position, settings[position.device]):
            left.append((position.device, position.epoch))
            continue
        changed.append(position)
        if position.superseded_by is not None:
            continue
        if position.given_up:
            _continue(run, position, settings[position.device], None, batch)
        elif position.received_through > position.projected_through:
            easy.append(position)
    _project_easy(run, easy, settings, batch)
    _write(run, changed, settings, batch)
    return left


def refold(run: Run, positions: Sequence[StreamPosition]) -> None:
    """Derives those streams from their start, if they still have to be; may write to the log."""
    settings = desk_settings.read_devices(run.db, {one.device for one in positions})
    batch = _Batch()
    chosen = [one for one in positions if _must_refold(one, settings[one.device])]
    for position in chosen:
        _refold(run, position, settings[position.device], batch)
    _write(run, chosen, settings, batch)


def project_whole(run: Run, streams: Iterable[Stream]) -> None:
    """Both at once, for who has locked the log already."""
    positions = projection.lock_streams(run.db, streams)
    project(run, positions)
    refold(run, positions)


def _must_refold(position: StreamPosition, known: KnownDevice) -> bool:
    if position.must_refold or _is_other_registry(position, known):
        return True
    is_left = position.superseded_by is not None
    return is_left and _last_known(position) > position.projected_through


def _project_easy(
    run: Run, positions: list[StreamPosition], settings: dict[str, KnownDevice], batch: _Batch
) -> None:
    by_stream = {(one.device, one.epoch): one for one in positions}
    if by_stream:
        for stream, events in projection.read_new(run.db, by_stream.values()):
            _continue(run, by_stream[stream], settings[stream[0]], events, batch)


def _last_known(position: StreamPosition) -> int:
    """The last position that was received or given up."""
    return max([position.highest_seen, *(last for _, last in position.given_up)])


def _is_other_registry(position: StreamPosition, known: KnownDevice) -> bool:
    before = position.state.get("registry")
    return before is not None and before != known.snapshot(before["desks"])


def _continue(
    run: Run,
    position: StreamPosition,
    known: KnownDevice,
    events: list[StreamEvent] | None,
    batch: _Batch,
) -> None:
    fold = _open_fold(run, position, known)
    _advance(run, fold, position, events, batch)
    _collect(run, fold, position, known, batch)


def _refold(run: Run, position: StreamPosition, known: KnownDevice, batch: _Batch) -> None:
    stream = (position.device, position.epoch)
    cut = stream_cuts.find(run.db, stream)
    position.state = {"fold": cut.fold} if cut else {}
    position.projected_through = cut.through if cut else 0
    position.must_refold, position.unprojected_since = False, None  # whenever it was received
    fold = _open_fold(run, position, known)
    _advance(run, fold, position, None, batch)
    if position.superseded_by is not None:
        fold.close()
    _collect(run, fold, position, known, batch)
    sessions, days = fold.changes.sessions, fold.changes.days
    gone = [
        row
        for row in _derivable_rows(run, projection.SESSION, stream, cut)
        if row["session_id"] not in sessions
    ]
    for row in gone:
        _note_change(batch, row["desk"], row["arrived_at"])
    projection.drop_rows(run.db, projection.SESSION, gone)
    projection.drop_rows(
        run.db,
        projection.DESK_DAY,
        [
            row
            for row in _derivable_rows(run, projection.DESK_DAY, stream, cut)
            if (row["desk"], row["day"]) not in days
        ],
    )
    withdraw_flags(
        run,
        [
            row
            for row in _derivable_rows(run, projection.FLAG, stream, cut)
            if row["flag_id"] not in fold.changes.flags
            and row["rule"] not in _FROM_ELSEWHERE
            and row["state"] != "withdrawn"
            and row["facts"].get("cause") != "incident"
        ],
    )


def _derivable_rows(run: Run, table: Table, stream: Stream, cut: Cut | None) -> list[MadeRow]:
    """What the stream has made and could make again: what dropped events made stays as it is."""
    made = projection.rows_of_stream(run.db, table, stream)
    return [row for row in made if stream_cuts.is_derivable(cut, row)]


def fold_through(run: Run, stream: Stream, through: int) -> StreamFold | None:
    """The stream folded up to that event from the last cut on, nothing written; `None` while a gap
    before it is open.
    """
    position, cut = projection.find_position(run.db, stream), stream_cuts.find(run.db, stream)
    position.state = {"fold": cut.fold} if cut else {}
    position.projected_through = cut.through if cut else 0
    position.given_up = [span for span in position.given_up if span[0] <= through]
    known = desk_settings.read_devices(run.db, {position.device})[position.device]
    fold = _open_fold(run, position, known)
    events = projection.read_from(run.db, stream, position.projected_through)
    _advance(run, fold, position, takewhile(lambda one: one.sequence <= through, events), _Batch())
    return fold if fold.stream.sequence >= through else None


def _open_fold(run: Run, position: StreamPosition, known: KnownDevice) -> StreamFold:
    setting = Setting(
        position.device,
        position.epoch,
        known.unit_id,
        known.desks,
        run.rules,
        known.public_key,
        known.paired_at,
    )
    return StreamFold(load_stream(position.state.get("fold", {})), setting)


def _advance(
    run: Run,
    fold: StreamFold,
    position: StreamPosition,
    events: Iterable[StreamEvent] | None,
    batch: _Batch,
) -> None:
    """Folds `events`, or all that the table holds without a hole but for those given up."""
    stream = (position.device, position.epoch)
    if events is None:
        after = position.projected_through
        events = projection.read_from(run.db, stream, after, position.unprojected_since)
    given_up = sorted((first, last) for first, last in position.given_up)
    for event in events:
        if event.sequence != fold.stream.sequence + 1 and not _bridge(
            fold, given_up, event.sequence - 1
        ):
            break
        fold.advance(event)
        if event.type in FEEDBACK_TYPES:
            batch.feedback.append(SaidAt(position.device, position.epoch, event.sequence))
    else:
        # The end of a chain that was cut off has nothing behind it.
        if given_up and given_up[-1][0] == fold.stream.sequence + 1:
            fold.skip(*given_up[-1])


def _bridge(fold: StreamFold, given_up: list[tuple[int, int]], until: int) -> bool:
    """Skips to `until` if every position up to it was given up; whether it was."""
    first = fold.stream.sequence + 1
    covered = fold.stream.sequence
    for begin, end in given_up:
        if begin <= covered + 1:
            covered = max(covered, end)
    if covered < until:
        return False
    fold.skip(first, until)
    return True


def _collect(
    run: Run, fold: StreamFold, position: StreamPosition, known: KnownDevice, batch: _Batch
) -> None:
    place = Place(known.unit_id, position.device, position.epoch)
    for desk, session in fold.changes.sessions.values():
        at_desk = Place(known.desks[desk].unit_id, place.device, place.epoch, desk)
        batch.sessions.append(derived_rows.session_row(session, desk, at_desk))
        _note_change(batch, desk, session.arrived_at)
    for (desk, day), tally in fold.changes.days.items():
        at_desk = Place(known.desks[desk].unit_id, place.device, place.epoch, desk)
        batch.days.append(derived_rows.desk_day_row(day, tally, desk, at_desk))
    batch.flags += fold.changes.flags.values()
    position.projected_through = fold.stream.sequence
    position.projected_at = fold.stream.latest
    position.state = {
        "registry": known.snapshot([*fold.stream.desks, *fold.stream.strangers]),
        "fold": dump_stream(fold.stream),
    }


def _note_change(batch: _Batch, desk: str, arrived_at: datetime) -> None:
    batch.earliest[desk] = min(batch.earliest.get(desk, arrived_at), arrived_at)


def _write(
    run: Run,
    positions: Sequence[StreamPosition],
    settings: Mapping[str, KnownDevice],
    batch: _Batch,
) -> None:
    """Writes what was folded, and looks at the feedback that it may concern."""
    db = run.db
    desks = {desk for one in positions for desk in settings[one.device].served}
    desks |= set(batch.earliest)
    # Feedback by phone may be looking for its session at the same desk just now.
    desk_settings.lock_desks(db, desks)
    projection.upsert(db, projection.SESSION, batch.sessions, only_of_stream=True)
    projection.upsert(db, projection.DESK_DAY, batch.days)
    projection.save_streams(db, positions)
    write_flags(run, batch.flags)
    feedback_projector.project(run, batch.feedback, desks, batch.earliest)


def in_groups(streams: Iterable[Stream], size: int) -> Iterator[list[Any]]:
    """The streams in order, so many at a time."""
    ordered = sorted(set(streams))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
