"""Feedback: opens what was sealed, lets the domain match it, writes its row and its flag.

The row is made anew from the log each time a version, or a session that it may belong to, arrives;
so the result is the same in whatever order they came.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from central_server.domain import feedback as feedback_domain
from central_server.domain.feedback import UNMATCHED, Matched, Opened, Stay
from central_server.domain.flags import Place
from central_server.domain.server_log import FeedbackCompleted, FeedbackReceived
from central_server.services.derived_rows import Row, feedback_row
from central_server.services.projection_run import Run, write_flags
from central_server.storage import feedback_entries, feedback_sources, projection
from central_server.storage.feedback_sources import DeviceFeedback
from event_protocol.events import FeedbackChannel
from event_protocol.feedback import FeedbackContent
from event_protocol.sealing import SealError, unseal

_GONE = "the sealed content was erased"
_NO_DEVICE = datetime.max.replace(tzinfo=UTC)  # a desk that no device watches has no session
# Whoever speaks from home or by telephone does not sit at the desk at that moment.
_AWAY_FROM_DESK = (FeedbackChannel.HOME.value, FeedbackChannel.HOTLINE.value)


class SaidAt(NamedTuple):
    """Where a feedback event of a device stands."""

    device: str
    epoch: int
    sequence: int


class _Source(NamedTuple):
    """One feedback with all its versions: (sealed, digest), the first tap first."""

    feedback_id: str
    channel: str
    desk: str | None
    place: Place
    quarter_at: datetime
    versions: Sequence[tuple[str | None, str]]


def project(
    run: Run,
    said: Iterable[SaidAt],
    desks: Collection[str],
    earliest_change: Mapping[str, datetime],
) -> None:
    """New feedback events, and known feedback that waits for, or may lose or win, a session."""
    found = {one.feedback_id: one for one in feedback_sources.find_said(run.db, said)}
    waiting = feedback_sources.list_affected(
        run.db, desks, earliest_change, feedback_domain.MATCH_AFTER
    )
    for row in waiting:
        if row["feedback_id"] not in found:
            project_known(run, row)
    for one in found.values():
        _project(run, _from_device(run, one))


def project_known(run: Run, row: Mapping[str, object]) -> None:
    """Makes a feedback's row anew: sessions at its desk have changed."""
    feedback_id = str(row["feedback_id"])
    if not project_logged(run, feedback_id):
        one = feedback_sources.find_by_row(run.db, row)
        if one is not None:
            _project(run, _from_device(run, one))


def project_logged(run: Run, feedback_id: str) -> bool:
    """Makes the row of feedback by phone, from home or by hotline; `False` if it is none."""
    entries = feedback_entries.list_entries(run.db, feedback_id)
    first = entries[0] if entries else None
    if first is None or not isinstance(first.entry, FeedbackReceived):
        return False
    received = first.entry
    versions = [
        (logged.sealed, logged.entry.digest)
        for logged in entries
        if isinstance(logged.entry, FeedbackReceived | FeedbackCompleted)
    ]
    place = Place(received.unit_id, None, None, received.desk)
    source = _Source(
        feedback_id, received.channel.value, received.desk, place, first.time, versions
    )
    _project(run, source)
    return True


def _from_device(run: Run, one: DeviceFeedback) -> _Source:
    place = feedback_sources.place_of(run.db, one)
    versions = [(sealed, orjson.loads(body)["data"]["digest"]) for sealed, body in one.versions]
    return _Source(one.feedback_id, one.channel, place.desk, place, one.quarter_at, versions)


def _project(run: Run, source: _Source) -> None:
    contents, unreadable = _open_all(run, source)
    opened = feedback_domain.fold_versions(contents) if contents else None
    matched = UNMATCHED
    if opened is not None and source.channel not in _AWAY_FROM_DESK:
        matched = _match(run, source.desk, opened)
    row = feedback_row(
        source.feedback_id,
        source.channel,
        source.place,
        source.quarter_at,
        opened,
        matched,
        unreadable,
    )
    projection.upsert(run.db, projection.FEEDBACK, [row])
    _write_flag(run, source, opened, matched, row)


def _write_flag(
    run: Run, source: _Source, opened: Opened | None, matched: Matched, row: Row
) -> None:
    if opened is None:
        return
    flag = feedback_domain.complaint_flag(
        source.feedback_id,
        source.channel,
        row["quarter_at"],
        opened,
        matched,
        source.place,
        run.rules.at(row["quarter_at"]),
    )
    if flag is not None:
        write_flags(run, [flag])


def _open_all(run: Run, source: _Source) -> tuple[list[FeedbackContent], str | None]:
    """What could be opened, in order, and why the rest could not."""
    contents, unreadable = [], None
    for sealed, digest in source.versions:
        if sealed is None:
            unreadable = _GONE
            continue
        try:
            contents.append(unseal(sealed, digest, run.context.keys.sealing))
        except SealError as error:
            unreadable = str(error)
    return contents, unreadable


def _match(run: Run, desk: str | None, opened: Opened) -> Matched:
    if desk is None:
        return UNMATCHED
    at, session_id = opened.content.at, opened.content.session_id
    named = None if session_id is None else str(session_id)
    stays = [
        Stay(*row)
        for row in feedback_sources.list_stays(run.db, desk, at, feedback_domain.MATCH_AFTER, named)
    ]
    until = feedback_sources.projected_until(run.db, desk)
    if not feedback_sources.is_watched(run.db, desk):
        until = _NO_DEVICE
    return feedback_domain.match(at, named, stays, until)
