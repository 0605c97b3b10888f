"""Units, desks, devices and pairing codes: who exists, and what a device last said of itself."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, update
from sqlmodel import Session, col, select

from central_server.storage.tables import DeskRow, DeviceRow, PairingCodeRow, UnitRow, table_of
from event_protocol.messages import DeviceStatus

_DEVICE = table_of(DeviceRow)
# Made once: building a statement takes longer than asking, and each batch asks.
_ACTIVE = select(_DEVICE.c.device_id).where(
    _DEVICE.c.device_id.in_(bindparam("devices", expanding=True)), _DEVICE.c.revoked_at.is_(None)
)
_HOW_MANY_ACTIVE = _ACTIVE.with_only_columns(func.count())
_HEARD = (
    update(_DEVICE)
    .where(_DEVICE.c.device_id.in_(bindparam("devices", expanding=True)))
    .values(last_heard_at=bindparam("at"))
)


def find_active_devices(db: Session, devices: Collection[str]) -> set[str]:
    """Those of the named devices that are registered and not revoked."""
    wanted = {"devices": list(devices)}
    connection = db.connection()
    # Almost always all of them; SQLite lets other threads go first at each row that it gives.
    if connection.execute(_HOW_MANY_ACTIVE, wanted).scalar_one() == len(wanted["devices"]):
        return set(wanted["devices"])
    return set(connection.execute(_ACTIVE, wanted).scalars())


def find_revoked(db: Session, devices: Collection[str]) -> dict[str, datetime]:
    """Those of the named devices that were revoked, and when."""
    statement = select(_DEVICE.c.device_id, _DEVICE.c.revoked_at).where(
        _DEVICE.c.device_id.in_(devices), _DEVICE.c.revoked_at.is_not(None)
    )
    return {row.device_id: row.revoked_at for row in db.connection().execute(statement)}


def mark_heard(db: Session, devices: Collection[str], at: datetime) -> None:
    """Something arrived from each of them."""
    if devices:
        db.connection().execute(_HEARD, {"devices": list(devices), "at": at})


def mark_link(db: Session, device: str, status: DeviceStatus) -> bool:
    """What a birth or a will says; `False` if it is older than what is known and changes nothing.

    A will of an earlier boot may arrive after the birth of the next one.
    """
    row = db.get(DeviceRow, device)
    if row is None or (status.epoch, status.boot) < (row.link_epoch, row.link_boot):
        return False
    row.link, row.link_epoch, row.link_boot = status.status.value, status.epoch, status.boot
    return True


def mark_telemetry(db: Session, device: str, telemetry: dict[str, Any], at: datetime) -> None:
    """The device's last health."""
    row = db.get(DeviceRow, device)
    if row is not None:
        row.telemetry, row.telemetry_at = telemetry, at


def find_device(db: Session, device: str) -> DeviceRow | None:
    """That device, registered or revoked."""
    return db.get(DeviceRow, device)


def list_devices(db: Session) -> list[DeviceRow]:
    """All devices, by name."""
    return list(db.exec(select(DeviceRow).order_by(DeviceRow.device_id)))


def list_paired(db: Session) -> list[DeviceRow]:
    """Devices that may talk: paired and not revoked."""
    statement = select(DeviceRow).where(
        col(DeviceRow.public_key).is_not(None), col(DeviceRow.revoked_at).is_(None)
    )
    return list(db.exec(statement.order_by(DeviceRow.device_id)))


def list_desks_of_device(db: Session, device: str) -> list[tuple[DeskRow, UnitRow]]:
    """The desks that a device serves, each with its unit, by name."""
    statement = (
        select(DeskRow, UnitRow)
        .join(UnitRow, col(UnitRow.unit_id) == col(DeskRow.unit_id))
        .where(DeskRow.device_id == device)
        .order_by(DeskRow.desk_id)
    )
    return list(db.exec(statement))


def list_desks(db: Session) -> list[DeskRow]:
    """All desks, by id."""
    return list(db.exec(select(DeskRow).order_by(DeskRow.desk_id)))


def list_units(db: Session) -> list[UnitRow]:
    """All units, by id, whenever they exist."""
    return list(db.exec(select(UnitRow).order_by(UnitRow.unit_id)))


def save(db: Session, rows: Iterable[UnitRow | DeskRow | DeviceRow | PairingCodeRow]) -> None:
    """Adds them, or writes their new content."""
    db.add_all(rows)
    db.flush()


def find_pairing_code(db: Session, code_hash: str) -> PairingCodeRow | None:
    """The code with that hash, used or not; locked so that two can't use it at once."""
    statement = select(PairingCodeRow).where(PairingCodeRow.code_hash == code_hash)
    return db.exec(statement.with_for_update()).first()
