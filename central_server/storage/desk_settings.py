"""What the registry says of devices and of the desks that they may speak for, read in one go."""

from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlmodel import Session

from central_server.domain.streams import DeskSetting
from central_server.storage.tables import DeskRow, DeviceRow, table_of

_ASKED_AT_ONCE = 500
_NOBODY = ("", None, None)

# Made once: building a statement takes longer than asking, and each run asks.
_DEVICE, _DESK = table_of(DeviceRow), table_of(DeskRow)
_DEVICES = select(
    *(_DEVICE.c[name] for name in ("device_id", "unit_id", "public_key", "paired_at"))
).where(_DEVICE.c.device_id.in_(bindparam("devices", expanding=True)))
_DESKS = select(*(_DESK.c[name] for name in ("desk_id", "unit_id", "schedule", "device_id"))).where(
    or_(
        _DESK.c.device_id.in_(bindparam("devices", expanding=True)),
        _DESK.c.unit_id.in_(bindparam("units", expanding=True)),
    )
)
_LOCKED = (
    select(_DESK.c.desk_id)
    .where(_DESK.c.desk_id.in_(bindparam("desks", expanding=True)))
    .order_by(_DESK.c.desk_id)
    .with_for_update(key_share=True)
)

_DeskFields = tuple[str, str, str, str | None]


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device as registered; `desks`: those it may speak for, `served` those it serves now."""

    unit_id: str
    desks: Mapping[str, DeskSetting]
    served: frozenset[str]
    public_key: bytes | None
    paired_at: datetime | None

    def snapshot(self, spoken_of: Collection[str]) -> dict[str, Any]:
        """What a fold that speaks of those desks depends on; JSON values."""
        settings = {name: self.desks.get(name) for name in sorted(spoken_of)}
        return {
            "unit_id": self.unit_id,
            "desks": {name: known and list(known) for name, known in settings.items()},
        }


def read_devices(db: Session, devices: Collection[str]) -> dict[str, KnownDevice]:
    """Each of those devices; one that is not registered speaks for no desk.

    A device may speak for the desks that it serves and for those of its own unit
    (`streams.may_speak_for`).
    """
    keys = {
        name: (unit_id, key, paired_at)
        for some in _lots(devices)
        for name, unit_id, key, paired_at in db.connection().execute(_DEVICES, {"devices": some})
    }
    of_unit: dict[str, dict[str, DeskSetting]] = {}
    of_device: dict[str, dict[str, DeskSetting]] = {}
    for desk, unit_id, schedule, device in _read_desks(db, keys, {row[0] for row in keys.values()}):
        setting = DeskSetting(unit_id, schedule)
        of_unit.setdefault(unit_id, {})[desk] = setting
        if device is not None:
            of_device.setdefault(device, {})[desk] = setting
    found = {}
    for device in devices:
        unit_id, key, paired_at = keys.get(device, _NOBODY)
        own = of_device.get(device, {})
        found[device] = KnownDevice(
            unit_id,
            ChainMap(own, of_unit.get(unit_id, {})),
            frozenset(own),
            bytes.fromhex(key) if key else None,
            paired_at,
        )
    return found


def lock_desks(db: Session, desks: Collection[str]) -> None:
    """What is derived of those desks is another transaction's business until this one ends."""
    if db.get_bind().dialect.name == "postgresql":
        for some in _lots(desks):
            db.connection().execute(_LOCKED, {"desks": some})


def _read_desks(
    db: Session, devices: Collection[str], units: Collection[str]
) -> Iterator[_DeskFields]:
    for some in _lots(devices):
        values = {"devices": some, "units": sorted(units)}
        yield from map(tuple, db.connection().execute(_DESKS, values))


def _lots(names: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(names)
    for start in range(0, len(ordered), _ASKED_AT_ONCE):
        yield ordered[start : start + _ASKED_AT_ONCE]
