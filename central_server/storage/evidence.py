"""Pictures asked for: requests and their history (derived), uploads under way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, false, func, or_
from sqlmodel import Session, col, select

from central_server.domain.evidence import EvidenceState
from central_server.domain.permissions import UnitScope
from central_server.storage.evidence_tables import (
    EvidenceHistoryRow,
    EvidenceRequestRow,
    EvidenceTransferRow,
)
from central_server.storage.tables import DeskRow, DeviceRow, FlagRow, SessionRow

_DERIVED = (EvidenceRequestRow, EvidenceHistoryRow)


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A request whose device has something to do, and how the device was last heard."""

    request: EvidenceRequestRow
    transfer: EvidenceTransferRow | None
    device: DeviceRow


def forget(db: Session) -> None:
    """Drops what is derived; a rebuild makes it anew from the log."""
    for table in _DERIVED:
        db.connection().execute(delete(table))


def save(
    db: Session,
    *rows: EvidenceRequestRow | EvidenceHistoryRow | EvidenceTransferRow,
) -> None:
    """Adds or changes rows."""
    db.add_all(rows)
    db.flush()


def get_row(db: Session, request_id: str) -> EvidenceRequestRow | None:
    """For the server's own work, which serves no viewer."""
    return db.get(EvidenceRequestRow, request_id)


def find_request(db: Session, scope: UnitScope, request_id: str) -> EvidenceRequestRow | None:
    """The request, if its desk's unit lies in the scope."""
    row = db.get(EvidenceRequestRow, request_id)
    return row if row is not None and row.unit_id in scope else None


def find_of_device(db: Session, device: str, request_id: str) -> EvidenceRequestRow | None:
    """The request, if that device is the one it was sent to."""
    row = db.get(EvidenceRequestRow, request_id)
    return row if row is not None and row.device == device else None


def find_transfer(db: Session, request_id: str) -> EvidenceTransferRow | None:
    """What the device has said of it so far."""
    return db.get(EvidenceTransferRow, request_id)


def drop_transfer(db: Session, request_id: str) -> None:
    """Nothing more is under way."""
    wanted = col(EvidenceTransferRow.request_id) == request_id
    db.connection().execute(delete(EvidenceTransferRow).where(wanted))


def list_of_flag(db: Session, flag: FlagRow) -> list[EvidenceRequestRow]:
    """What was asked for about a flag that was found in a scope, the latest first."""
    query = select(EvidenceRequestRow).where(EvidenceRequestRow.flag_id == flag.flag_id)
    newest = col(EvidenceRequestRow.asked_at).desc()
    return list(db.exec(query.order_by(newest, col(EvidenceRequestRow.request_id))))


def histories(db: Session, request_ids: Sequence[str]) -> dict[str, list[EvidenceHistoryRow]]:
    """What was done about each, oldest first."""
    query = select(EvidenceHistoryRow).where(col(EvidenceHistoryRow.request_id).in_(request_ids))
    found: dict[str, list[EvidenceHistoryRow]] = {name: [] for name in request_ids}
    for row in db.exec(query.order_by(col(EvidenceHistoryRow.sequence))):
        found[row.request_id].append(row)
    return found


def transfers(db: Session, request_ids: Sequence[str]) -> dict[str, EvidenceTransferRow]:
    """Uploads under way by request."""
    query = select(EvidenceTransferRow).where(col(EvidenceTransferRow.request_id).in_(request_ids))
    return {row.request_id: row for row in db.exec(query)}


def last_view(db: Session, request_id: str, by: str) -> EvidenceHistoryRow | None:
    """When that person last opened it."""
    query = select(EvidenceHistoryRow).where(
        EvidenceHistoryRow.request_id == request_id,
        EvidenceHistoryRow.by == by,
        EvidenceHistoryRow.type == "evidence.viewed",
    )
    return db.exec(query.order_by(col(EvidenceHistoryRow.sequence).desc())).first()


def list_outstanding(db: Session) -> list[Outstanding]:
    """Requests that wait for their device, and holds that it has not confirmed; oldest first."""
    confirmed = func.coalesce(col(EvidenceTransferRow.held), false())
    waits = or_(
        col(EvidenceRequestRow.state) == EvidenceState.ASKED.value,
        col(EvidenceRequestRow.held) != confirmed,
    )
    query = (
        select(EvidenceRequestRow, EvidenceTransferRow, DeviceRow)
        .join(DeviceRow, col(DeviceRow.device_id) == col(EvidenceRequestRow.device))
        .join(
            EvidenceTransferRow,
            col(EvidenceTransferRow.request_id) == col(EvidenceRequestRow.request_id),
            isouter=True,
        )
        .where(waits, col(DeviceRow.revoked_at).is_(None))
        .order_by(col(EvidenceRequestRow.asked_at), col(EvidenceRequestRow.request_id))
    )
    return [Outstanding(*found) for found in db.exec(query)]


def list_asked_of(db: Session, device: str) -> list[str]:
    """Requests that wait for that device."""
    query = select(EvidenceRequestRow.request_id).where(
        EvidenceRequestRow.device == device,
        EvidenceRequestRow.state == EvidenceState.ASKED.value,
    )
    return list(db.exec(query.order_by(EvidenceRequestRow.request_id)))


def list_expired(db: Session, now: datetime) -> list[EvidenceRequestRow]:
    """Requests that no device has answered in time."""
    query = select(EvidenceRequestRow).where(
        EvidenceRequestRow.state == EvidenceState.ASKED.value,
        col(EvidenceRequestRow.expires) <= now,
    )
    return list(db.exec(query))


def list_outdated(db: Session, received_before: datetime) -> list[EvidenceRequestRow]:
    """Pictures kept for long enough that nobody holds."""
    query = select(EvidenceRequestRow).where(
        EvidenceRequestRow.state == EvidenceState.RECEIVED.value,
        col(EvidenceRequestRow.answered_at) < received_before,
        col(EvidenceRequestRow.held).is_(False),
    )
    return list(db.exec(query))


def is_content_needed(db: Session, sha256: str) -> bool:
    """Whether any request still has that file."""
    query = select(EvidenceRequestRow.request_id).where(
        EvidenceRequestRow.sha256 == sha256,
        EvidenceRequestRow.state == EvidenceState.RECEIVED.value,
    )
    return db.exec(query).first() is not None


def list_unasked(
    db: Session, rules: Iterable[str], begun_after: datetime, limit: int
) -> list[FlagRow]:
    """Open flags of those rules about which nothing was asked yet, and which can be asked about.

    A stay that still goes on is asked about once it has ended; a complaint, once it is known of
    which stay: nobody is shown a quarter of an hour of others unless an inspector asks for it.
    """
    asked = select(EvidenceRequestRow.flag_id)
    under_way = select(SessionRow.session_id).where(col(SessionRow.ended_at).is_(None))
    query = select(FlagRow).where(
        col(FlagRow.rule).in_(list(rules)),
        col(FlagRow.begin) >= begun_after,
        FlagRow.state == "open",
        col(FlagRow.desk).is_not(None),
        col(FlagRow.flag_id).not_in(asked),
        or_(
            col(FlagRow.session_id).not_in(under_way),
            and_(col(FlagRow.session_id).is_(None), col(FlagRow.feedback_id).is_(None)),
        ),
    )
    return list(db.exec(query.order_by(col(FlagRow.begin)).limit(limit)))


def device_of_desk(db: Session, desk: str) -> str | None:
    """The box whose camera sees it."""
    row = db.get(DeskRow, desk)
    return None if row is None else row.device_id
