"""What could not be filed, or stands beside what was: each thing once, with its reason."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import and_, or_, true
from sqlmodel import Session, col, func, select

from central_server.storage.tables import DeviceRow, QuarantineRow

KEPT_BYTES = 65_536

IncidentKind = Literal["other_bytes", "known_id_elsewhere"]
Kind = IncidentKind | Literal["refused"]
_IS_REFUSED = col(QuarantineRow.kind) == "refused"


@dataclass(frozen=True, slots=True)
class Misfit:
    """One message for quarantine; `sha256` is of its whole payload."""

    topic: str
    payload: bytes
    sha256: str
    kind: Kind
    reason: str
    device: str | None = None
    epoch: int | None = None
    sequence: int | None = None


def add(db: Session, misfit: Misfit, received_at: datetime) -> bool:
    """Keeps it; `False` if the same bytes already lie there for the same cause."""
    topic = misfit.topic[:300]
    known = db.exec(
        select(QuarantineRow.quarantine_id).where(
            col(QuarantineRow.sha256) == misfit.sha256,
            col(QuarantineRow.topic) == topic,
            col(QuarantineRow.kind) == misfit.kind,
        )
    ).first()
    if known is not None:
        return False
    db.add(
        QuarantineRow(
            received_at=received_at,
            topic=topic,
            device=misfit.device,
            epoch=misfit.epoch,
            sequence=misfit.sequence,
            kind=misfit.kind,
            reason=misfit.reason[:500],
            sha256=misfit.sha256,
            payload=misfit.payload[:KEPT_BYTES],
        )
    )
    db.flush()
    return True


def count(db: Session) -> int:
    """How much lies there."""
    return db.exec(select(func.count()).select_from(QuarantineRow)).one()


def list_latest(db: Session, limit: int = 100) -> list[QuarantineRow]:
    """The newest first."""
    return _newest(db, true(), limit)


def list_of_device(
    db: Session, device: str, limit: int, *, with_incidents: bool
) -> list[QuarantineRow]:
    """One device's, the newest first; incidents speak of tampering and are not for everybody."""
    mine = col(QuarantineRow.device) == device
    return _newest(db, mine if with_incidents else and_(mine, _IS_REFUSED), limit)


def list_of_strangers(db: Session, limit: int) -> list[QuarantineRow]:
    """What was refused from no device, or from one that is not registered; the newest first."""
    known = select(DeviceRow.device_id)
    device = col(QuarantineRow.device)
    return _newest(db, and_(_IS_REFUSED, or_(device.is_(None), device.not_in(known))), limit)


def _newest(db: Session, condition: Any, limit: int) -> list[QuarantineRow]:
    newest = col(QuarantineRow.quarantine_id).desc()
    return list(db.exec(select(QuarantineRow).where(condition).order_by(newest).limit(limit)))
