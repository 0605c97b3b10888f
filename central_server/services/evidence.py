"""What inspectors do with pictures: ask for them, open them, hold them. All of it is logged.

Outside the viewer's scope (the flags' for asking, else that of `SEE_EVIDENCE`) nothing exists.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sqlmodel import Session

from central_server.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    NotOpenedError,
)
from central_server.domain.evidence import EvidenceState, wanted_span
from central_server.domain.evidence_log import (
    EvidenceAsked,
    EvidenceHeld,
    EvidenceHoldLifted,
    EvidenceViewed,
)
from central_server.domain.permissions import FlagScope, UnitScope
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.settings import ServerSettings
from central_server.storage import evidence, flag_lists, server_log
from central_server.storage.evidence_files import EvidenceFiles
from central_server.storage.evidence_tables import EvidenceRequestRow
from central_server.storage.tables import FlagRow, SessionRow
from event_protocol.evidence import EvidenceKind
from event_protocol.names import DeskId, DeviceId

MAX_REASON_CHARACTERS = 300
# Pictures that were opened can be played, and wound back, for so long.
VIEW_LASTS = timedelta(hours=1)
QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a camera could see: the box, the desk, from when to when (`None`: it goes on)."""

    device: str
    desk: str
    begin: datetime
    end: datetime | None


def files_of(context: ServerContext) -> EvidenceFiles:
    """Where this server keeps pictures."""
    return files_at(context.settings)


def files_at(settings: ServerSettings) -> EvidenceFiles:
    """Where a server with those settings keeps them."""
    return EvidenceFiles(settings.evidence_directory, settings.evidence.reserve_mb * 10**6)


def ask(
    context: ServerContext,
    scope: FlagScope,
    flag_id: str,
    kind: EvidenceKind,
    *,
    by: str,
    reason: str,
) -> EvidenceRequestRow:
    """A new request; `ConflictError` while one of that kind waits, or if no camera saw it."""
    words = _reason(reason)
    with context.database.transaction() as db:
        server_log.lock(db)
        flag = flag_lists.find_flag(db, scope, flag_id)
        if flag is None:
            raise NotFoundError()
        waiting = [row for row in evidence.list_of_flag(db, flag) if row.kind == kind.value]
        if any(row.state == EvidenceState.ASKED.value for row in waiting):
            raise ConflictError()
        request_id = append_request(db, context, flag, kind, by=by, reason=words)
        if request_id is None:
            raise ConflictError()
        projector.project_server_log(db, context)
        return _require(evidence.get_row(db, request_id))


def append_request(
    db: Session,
    context: ServerContext,
    flag: FlagRow,
    kind: EvidenceKind,
    *,
    by: str | None,
    reason: str | None = None,
) -> str | None:
    """Logs a request for what the flag is about; `None` if no camera of ours saw it."""
    seen = find_sight(db, flag)
    if seen is None:
        return None
    now, limits = context.now(), context.settings.evidence
    span = wanted_span(seen.begin, seen.end, now, timedelta(minutes=limits.max_minutes))
    entry = EvidenceAsked(
        request_id=uuid4(),
        flag_id=UUID(flag.flag_id),
        by=by,
        reason=reason,
        kind=kind,
        unit_id=flag.unit_id,
        device=DeviceId(seen.device),
        desk=DeskId(seen.desk),
        begin=span.begin,
        end=span.end,
        expires=now + timedelta(hours=limits.expire_hours),
    )
    server_log.append(db, entry, at=now)
    return str(entry.request_id)


def find_sight(db: Session, flag: FlagRow) -> Sight | None:
    """Where and when the flag's stay was to be seen, or else the flag's own time."""
    stay = None if flag.session_id is None else db.get(SessionRow, flag.session_id)
    if stay is not None:
        return Sight(stay.device, stay.desk, stay.arrived_at, stay.ended_at)
    if flag.desk is None:
        return None
    # A complaint made elsewhere names no box: the one that sees the desk now.
    device = flag.device or evidence.device_of_desk(db, flag.desk)
    # Feedback says its time only to the quarter of an hour.
    end = flag.end if flag.feedback_id is None else flag.begin + QUARTER
    return None if device is None else Sight(device, flag.desk, flag.begin, end)


def open_pictures(
    context: ServerContext, scope: UnitScope, request_id: str, *, by: str, reason: str
) -> EvidenceRequestRow:
    """From now on this viewer may play them for a while: that, and why, is on record first."""
    words = _reason(reason)
    with context.database.transaction() as db:
        server_log.lock(db)
        row = _require(evidence.find_request(db, scope, request_id))
        if row.state != EvidenceState.RECEIVED.value:
            raise ConflictError(state=row.state)
        entry = EvidenceViewed(request_id=UUID(request_id), by=by, reason=words)
        server_log.append(db, entry, at=context.now())
        projector.project_server_log(db, context)
        return row


def content_of(
    context: ServerContext, scope: UnitScope, request_id: str, viewer: str
) -> tuple[EvidenceRequestRow, Path]:
    """The request and its file; `NotOpenedError` unless this viewer has opened it of late."""
    with context.database.reading() as db:
        row = _require(evidence.find_request(db, scope, request_id))
        view = evidence.last_view(db, request_id, viewer)
    if row.state != EvidenceState.RECEIVED.value or row.sha256 is None:
        raise ConflictError(state=row.state)
    if view is None or context.now() - view.at > VIEW_LASTS:
        raise NotOpenedError()
    path = files_of(context).path_of(row.sha256)
    if not path.is_file():
        raise InvalidError("error.evidence_lost")
    return row, path


def set_hold(
    context: ServerContext,
    scope: UnitScope,
    request_id: str,
    *,
    by: str,
    reason: str,
    held: bool,
) -> EvidenceRequestRow:
    """Sets or lifts the legal hold; `ConflictError` if it already is so."""
    words = _reason(reason)
    with context.database.transaction() as db:
        server_log.lock(db)
        row = _require(evidence.find_request(db, scope, request_id))
        if row.held is held or row.state == EvidenceState.ERASED.value:
            raise ConflictError(state=row.state)
        kind = EvidenceHeld if held else EvidenceHoldLifted
        entry = kind(request_id=UUID(request_id), by=by, reason=words)
        server_log.append(db, entry, at=context.now())
        projector.project_server_log(db, context)
        return row


def _reason(typed: str) -> str:
    words = typed.strip()
    if not 0 < len(words) <= MAX_REASON_CHARACTERS:
        raise InvalidError("error.reason", maximum=MAX_REASON_CHARACTERS)
    return words


def _require(row: EvidenceRequestRow | None) -> EvidenceRequestRow:
    if row is None:
        raise NotFoundError()
    return row
