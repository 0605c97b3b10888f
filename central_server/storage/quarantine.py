"""What could not be filed, or stands beside what was: each thing once, with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import and_, bindparam, insert, or_, true
from sqlmodel import Session, col, func, select

from central_server.storage.tables import DeviceRow, QuarantineRow, table_of

KEPT_BYTES = 65_536
_TOPIC_LETTERS = 300
_TABLE = table_of(QuarantineRow)
_KNOWN = select(_TABLE.c.sha256, _TABLE.c.topic, _TABLE.c.kind).where(
    _TABLE.c.sha256.in_(bindparam("hashes", expanding=True))
)
_Cause = tuple[str, str, str]  # hash, topic, kind

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


def add(db: Session, misfits: Sequence[Misfit], received_at: datetime) -> list[Misfit]:
    """Keeps each once; returns those whose bytes did not lie there yet for the same cause.

    All in two statements: a device that sends nothing but rubbish must not slow the others down.
    """
    wanted: dict[_Cause, Misfit] = {}
    for misfit in misfits:
        wanted.setdefault(_cause_of(misfit), misfit)
    if not wanted:
        return []
    hashes = sorted({misfit.sha256 for misfit in misfits})
    known = {tuple(row) for row in db.connection().execute(_KNOWN, {"hashes": hashes})}
    new = [misfit for cause, misfit in wanted.items() if cause not in known]
    if new:
        db.connection().execute(insert(_TABLE), [_values_of(one, received_at) for one in new])
    return new


def _cause_of(misfit: Misfit) -> _Cause:
    return misfit.sha256, misfit.topic[:_TOPIC_LETTERS], misfit.kind


def _values_of(misfit: Misfit, received_at: datetime) -> dict[str, Any]:
    return {
        "received_at": received_at,
        "topic": misfit.topic[:_TOPIC_LETTERS],
        "device": misfit.device,
        "epoch": misfit.epoch,
        "sequence": misfit.sequence,
        "kind": misfit.kind,
        "reason": misfit.reason[:500],
        "sha256": misfit.sha256,
        "payload": misfit.payload[:KEPT_BYTES],
    }


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
