"""Feedback: opens what was sealed, lets the domain match it, writes its row and its flag.

The row is made anew from the log each time a version, or a session that it may belong to, arrives;
so the result is the same in whatever order they came.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from central_server.domain import feedback as feedback_domain
from central_server.domain.custody_log import FeedbackErased
from central_server.domain.feedback import UNMATCHED, Matched, Opened, Stay
from central_server.domain.flags import Flag, Place
from central_server.domain.server_log import FeedbackCompleted, FeedbackReceived
from central_server.services.derived_rows import Row, feedback_row
from central_server.services.projection_run import Run, write_flags
from central_server.storage import (
    desk_settings,
    feedback_entries,
    feedback_matches,
    feedback_sources,
    projection,
)
from central_server.storage.desk_settings import KnownDevice
from central_server.storage.feedback_matches import Progress
from central_server.storage.feedback_sources import DeviceFeedback
from event_protocol.events import FeedbackChannel
from event_protocol.feedback import FeedbackContent
from event_protocol.sealing import SealError, unseal

GONE = "the sealed content was erased"
_NO_DEVICE = datetime.max.replace(tzinfo=UTC)  # a desk that no device watches has no session
# Whoever speaks from home or by telephone does not sit at the desk at that moment.
_AWAY_FROM_DESK = (FeedbackChannel.HOME.value, FeedbackChannel.HOTLINE.value)
_LOGGED = (FeedbackChannel.PHONE.value, *_AWAY_FROM_DESK)  # doors of the server's own


class SaidAt(NamedTuple):
    """Where a feedback event of a device stands."""

    device: str
    epoch: int
    sequence: int


class _Source(NamedTuple):
    """One feedback with all its versions: (sealed, digest), the first tap first."""

    feedback_id: str
    channel: str
    place: Place
    quarter_at: datetime
    versions: Sequence[tuple[str | None, str]]

    @property
    def is_gone(self) -> bool:
        """Whether something of it was erased."""
        return any(sealed is None for sealed, _ in self.versions)


def project(
    run: Run,
    said: Iterable[SaidAt],
    desks: Collection[str],
    earliest_change: Mapping[str, datetime],
) -> None:
    """New feedback events, and known feedback that waits for, or may lose or win, a session."""
    sources = {one.feedback_id: one for one in feedback_sources.find_said(run.db, said)}
    logged: list[_Source] = []
    affected = feedback_matches.list_affected(
        run.db, desks, earliest_change, feedback_domain.MATCH_AFTER
    )
    for row in affected:
        if row["feedback_id"] in sources:
            continue
        by_server = _find_logged(run, row["feedback_id"]) if row["channel"] in _LOGGED else None
        if by_server is not None:
            logged.append(by_server)
        elif (by_device := feedback_sources.find_by_row(run.db, row)) is not None:
            sources[by_device.feedback_id] = by_device
    _project(run, [*logged, *_from_devices(run, list(sources.values()))])


def project_logged(run: Run, feedback_id: str) -> None:
    """Makes the row of feedback by phone, from home or by hotline, if it is such."""
    source = _find_logged(run, feedback_id)
    _project(run, [] if source is None else [source])


def project_erased(run: Run, feedback_id: str) -> None:
    """Makes the row anew of feedback, from whichever log, whose content is gone."""
    source = _find(run, feedback_id)
    _project(run, [] if source is None else [source])


def open_again(run: Run, feedback_id: str) -> Opened | None:
    """What was said, of what can be opened."""
    source = _find(run, feedback_id)
    contents = [] if source is None else _open_all(run, source)[0]
    return feedback_domain.fold_versions(contents) if contents else None


def _find(run: Run, feedback_id: str) -> _Source | None:
    logged = _find_logged(run, feedback_id)
    if logged is not None:
        return logged
    row = projection.find_rows(run.db, projection.FEEDBACK, "feedback_id", [feedback_id])
    told = feedback_sources.find_by_row(run.db, row[feedback_id]) if row else None
    found = [] if told is None else _from_devices(run, [told])
    return found[0] if found else None


def _find_logged(run: Run, feedback_id: str) -> _Source | None:
    entries = feedback_entries.list_entries(run.db, feedback_id)
    first = entries[0] if entries else None
    if first is None or not isinstance(first.entry, FeedbackReceived):
        return None
    received = first.entry
    versions = [
        (logged.sealed, logged.entry.digest)
        for logged in entries
        if isinstance(logged.entry, FeedbackReceived | FeedbackCompleted)
    ]
    place = Place(received.unit_id, None, None, received.desk)
    return _Source(feedback_id, received.channel.value, place, first.time, versions)


def _from_devices(run: Run, told: Sequence[DeviceFeedback]) -> list[_Source]:
    """Whom each concerns; a desk that the device may not speak for is left out."""
    known = desk_settings.read_devices(run.db, {one.device for one in told}) if told else {}
    return [_from_device(one, known[one.device]) for one in told]


def _from_device(one: DeviceFeedback, device: KnownDevice) -> _Source:
    desk = device.desks.get(one.desk) if one.desk else None
    place = Place(device.unit_id, one.device)
    if desk is not None:
        place = Place(desk.unit_id, one.device, None, one.desk)
    versions = [(sealed, orjson.loads(body)["data"]["digest"]) for sealed, body in one.versions]
    return _Source(one.feedback_id, one.channel, place, one.quarter_at, versions)


def _project(run: Run, sources: Sequence[_Source]) -> None:
    """Rows and flags of all of them, each looked up on its own and written together."""
    if not sources:
        return
    desks = {source.place.desk for source in sources if source.place.desk}
    desk_settings.lock_desks(run.db, desks)  # a projector may be about to write their sessions
    progress = feedback_matches.read_progress(run.db, desks)
    rows: list[Row] = []
    flags: list[Flag] = []
    for source in sources:
        contents, unreadable = _open_all(run, source)
        opened = feedback_domain.fold_versions(contents) if contents else None
        matched = _match(run, source, opened, progress)
        erased = _find_erased(run, source.feedback_id) if source.is_gone else None
        if erased is not None:
            opened, matched = feedback_domain.recall(erased, source.quarter_at)
        rows.append(
            feedback_row(
                source.feedback_id,
                source.channel,
                source.place,
                source.quarter_at,
                opened,
                matched,
                unreadable,
            )
        )
        flags += _raise_flag(run, source, opened, matched)
    projection.upsert(run.db, projection.FEEDBACK, rows)
    write_flags(run, flags)


def _find_erased(run: Run, feedback_id: str) -> FeedbackErased | None:
    """What its erasure left for figures and flags."""
    entries = feedback_entries.list_entries(run.db, feedback_id)
    found = [logged.entry for logged in entries if isinstance(logged.entry, FeedbackErased)]
    return found[-1] if found else None


def _raise_flag(run: Run, source: _Source, opened: Opened | None, matched: Matched) -> list[Flag]:
    if opened is None:
        return []
    flag = feedback_domain.complaint_flag(
        source.feedback_id,
        source.channel,
        source.quarter_at,
        opened,
        matched,
        source.place,
        run.rules.at(source.quarter_at),
    )
    return [] if flag is None else [flag]


def _open_all(run: Run, source: _Source) -> tuple[list[FeedbackContent], str | None]:
    """What could be opened, in order, and why the rest could not."""
    contents, unreadable = [], None
    for sealed, digest in source.versions:
        if sealed is None:
            unreadable = GONE
            continue
        try:
            contents.append(unseal(sealed, digest, run.context.keys.sealing))
        except SealError as error:
            unreadable = str(error)
    return contents, unreadable


def _match(
    run: Run, source: _Source, opened: Opened | None, progress: Mapping[str, Progress]
) -> Matched:
    desk = source.place.desk
    if opened is None or desk is None or source.channel in _AWAY_FROM_DESK:
        return UNMATCHED
    at, session_id = opened.content.at, opened.content.session_id
    named = None if session_id is None else str(session_id)
    found = feedback_matches.list_stays(run.db, desk, at, feedback_domain.MATCH_AFTER, named)
    known = progress.get(desk)
    until = known.until if known and known.is_watched else _NO_DEVICE
    return feedback_domain.match(at, named, [Stay(*row) for row in found], until)
