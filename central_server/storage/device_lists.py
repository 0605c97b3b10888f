"""Devices as pages list them, and how far behind each is."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_
from sqlmodel import Session, col, select

from central_server.domain.permissions import UnitScope
from central_server.storage.tables import DeskRow, DeviceRow, EventRow, StreamRow

# Some days of one device: further back the whole log would be read for a page.
_LOOKED_THROUGH = 5000


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far pages are behind a device's current epoch; numbers of events."""

    missing: int = 0  # not received: a later number is known, or the box says that it holds them
    waiting: int = 0  # received, not yet projected
    shown_until: datetime | None = None  # time of the newest event in what pages show


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device with its desks and its backlog."""

    device: DeviceRow
    desks: list[DeskRow]
    backlog: Backlog


def list_devices(db: Session, scope: UnitScope) -> list[DeviceView]:
    """The devices of the scope's units, those that are in trouble first."""
    query = select(DeviceRow).where(col(DeviceRow.unit_id).in_(scope.unit_ids))
    devices = db.exec(query.order_by(DeviceRow.device_id)).all()
    views = _views(db, list(devices))
    return sorted(views, key=lambda view: HEALTH_ORDER.index(health_of(view.device)))


def find_device(db: Session, scope: UnitScope, device_id: str) -> DeviceView | None:
    """One device, if it belongs to the scope."""
    device = db.get(DeviceRow, device_id)
    return None if device is None or device.unit_id not in scope else _views(db, [device])[0]


HEALTH_ORDER = ("silent", "offline", "never", "online", "unpaired", "revoked")


def health_of(device: DeviceRow) -> str:
    """One word for how a device is: a key of the catalogue."""
    if device.revoked_at is not None:
        return "revoked"
    if device.public_key is None:
        return "unpaired"
    if device.silent_since is not None:
        return "silent"
    if device.last_heard_at is None:
        return "never"
    return "online" if device.link == "online" else "offline"


def list_strange_desks(db: Session, device_id: str) -> list[str]:
    """Desks that the device spoke of and may not speak for: unknown ones, or another unit's."""
    states = db.exec(select(StreamRow.state).where(StreamRow.device == device_id))
    return sorted({desk for state in states for desk in state.get("fold", {}).get("strangers", ())})


class Unreadable(NamedTuple):
    """An event that took its position with content that could not be read."""

    epoch: int
    sequence: int
    received_at: datetime
    reason: str


def list_unreadable(db: Session, device_id: str, limit: int) -> list[Unreadable]:
    """The newest of them among the last events of each epoch."""
    recent = and_(
        col(EventRow.device) == col(StreamRow.device),
        col(EventRow.epoch) == col(StreamRow.epoch),
        col(EventRow.sequence) > col(StreamRow.highest_seen) - _LOOKED_THROUGH,
    )
    query = (
        select(EventRow.epoch, EventRow.sequence, EventRow.received_at, EventRow.reason)
        .join(StreamRow, recent)
        .where(StreamRow.device == device_id, col(EventRow.reason).is_not(None))
        .order_by(col(EventRow.epoch).desc(), col(EventRow.sequence).desc())
    )
    return [Unreadable(*row) for row in db.exec(query.limit(limit))]


def _views(db: Session, devices: list[DeviceRow]) -> list[DeviceView]:
    ids = [device.device_id for device in devices]
    desks: dict[str, list[DeskRow]] = {}
    for desk in db.exec(
        select(DeskRow).where(col(DeskRow.device_id).in_(ids)).order_by(DeskRow.name)
    ):
        desks.setdefault(desk.device_id or "", []).append(desk)
    held = {device.device_id: int(device.telemetry.get("outbox_depth", 0)) for device in devices}
    not_received = col(StreamRow.highest_seen) - col(StreamRow.received_through)
    not_projected = col(StreamRow.received_through) - col(StreamRow.projected_through)
    backlogs = {
        device: Backlog(max(missing, held[device]), max(0, waiting), shown_until)
        for device, missing, waiting, shown_until in db.exec(
            select(StreamRow.device, not_received, not_projected, StreamRow.projected_at)
            .where(col(StreamRow.device).in_(ids))
            .order_by(col(StreamRow.epoch))  # the latest epoch stands
        )
    }
    return [
        DeviceView(
            device,
            desks.get(device.device_id, []),
            backlogs.get(device.device_id, Backlog(missing=held[device.device_id])),
        )
        for device in devices
    ]
