"""Units, desks and devices from a YAML file that people keep; nothing wrong gets in half-way."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlmodel import Session

from central_server.domain.device_log import DeviceRevoked
from central_server.domain.permissions import UnitId, subtree
from central_server.domain.server_log import RegistryChanged
from central_server.domain.yaml_lines import WrongFileError, explain, line_of, parse_mapping
from central_server.services import broker_accounts, lost_boxes, rule_sets
from central_server.services.context import ServerContext
from central_server.storage import registry, server_log
from central_server.storage.tables import DeskRow, DeviceRow, UnitRow
from event_protocol.names import NAME_PATTERN

_TOKEN_KEY_BYTES = 32
_LONG_AGO = date(2000, 1, 1)  # units that the file gives no beginning

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Words = Annotated[str, Field(min_length=1, max_length=200)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Unit(_Part):
    """A node of the tree; `valid_to` is the first day on which it is no more."""

    id: Name
    parent: Name | None = None
    name: Words
    kind: str = Field(min_length=1, max_length=40)
    valid_from: date = _LONG_AGO
    valid_to: date | None = None


class Device(_Part):
    """An edge box; revoked ones are cut off for good, their facts stay."""

    id: Name
    unit: Name
    revoked: bool = False


class Desk(_Part):
    """A desk and the box that watches it."""

    id: Name
    unit: Name
    name: Words
    device: Name | None = None
    schedule: str = "default"


class RegistryFile(_Part):
    """The whole file; what it does not name stays as it is in the database."""

    units: tuple[Unit, ...] = ()
    devices: tuple[Device, ...] = ()
    desks: tuple[Desk, ...] = ()


PartT = TypeVar("PartT", Unit, Device, Desk)
Problem = tuple[tuple[str | int, ...], str]


def load_units(context: ServerContext, file: Path, *, by: str = "command") -> int:
    """Writes what the file says; returns how many rows are new or changed.

    Raises `WrongFileError` with a line for each fault, and then nothing is changed.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongFileError(f"{file}: can't be read: {error}") from error
    try:
        wanted = RegistryFile.model_validate(parse_mapping(text, str(file)))
    except ValidationError as error:
        raise WrongFileError(explain(error, text, str(file))) from error
    schedules = set(rule_sets.load_file(context).schedules)
    with context.database.transaction() as db:
        known = _Known.read(db)
        problems = list(_find_problems(wanted, known, schedules))
        if problems:
            lines = (f"{file}:{line_of(text, path) or 1}: {what}" for path, what in problems)
            raise WrongFileError("\n".join(lines))
        changed = _write(context, db, wanted)
        if changed:
            entry = RegistryChanged(by=by, what="units.loaded", subject=file.name[:100])
            server_log.append(db, entry, at=context.now())
        for device in wanted.devices:
            if device.revoked and device.id not in known.revoked:
                reason = f"said by {file.name}"[:300]
                lost_boxes.note(context, db, DeviceRevoked(device=device.id, by=by, reason=reason))
    broker_accounts.write_password_file(context)
    return changed


class _Known(BaseModel):
    """What the database holds already, which the file may refer to."""

    parents: dict[str, str | None]
    devices: set[str]
    revoked: set[str]
    device_of: dict[str, str | None]  # of each desk

    @classmethod
    def read(cls, db: Session) -> "_Known":
        return cls(
            parents={unit.unit_id: unit.parent_id for unit in registry.list_units(db)},
            devices={device.device_id for device in registry.list_devices(db)},
            revoked={d.device_id for d in registry.list_devices(db) if d.revoked_at is not None},
            device_of={desk.desk_id: desk.device_id for desk in registry.list_desks(db)},
        )


def _find_problems(wanted: RegistryFile, known: _Known, schedules: set[str]) -> Iterator[Problem]:
    """Each fault with its place in the file."""
    yield from _twice("units", wanted.units)
    yield from _twice("devices", wanted.devices)
    yield from _twice("desks", wanted.desks)
    parents = {**known.parents, **{unit.id: unit.parent for unit in wanted.units}}
    devices = known.devices | {device.id for device in wanted.devices}
    for at, unit in enumerate(wanted.units):
        yield from _wrong_in_tree(at, unit, parents)
    units = {
        **{("devices", at): device.unit for at, device in enumerate(wanted.devices)},
        **{("desks", at): desk.unit for at, desk in enumerate(wanted.desks)},
    }
    for place, name in units.items():
        if name not in parents:
            yield (*place, "unit"), f"unit {name!r} is not known"
    for at, desk in enumerate(wanted.desks):
        if desk.device is not None and desk.device not in devices:
            yield ("desks", at, "device"), f"device {desk.device!r} is not known"
        elif desk.device in known.revoked and known.device_of.get(desk.id) != desk.device:
            yield ("desks", at, "device"), f"device {desk.device!r} was revoked"
        if desk.schedule not in schedules:
            yield ("desks", at, "schedule"), f"schedule {desk.schedule!r} is not in the rules file"


def _wrong_in_tree(at: int, unit: Unit, parents: dict[str, str | None]) -> Iterator[Problem]:
    if unit.parent is not None and unit.parent not in parents:
        yield ("units", at, "parent"), f"unit {unit.parent!r} is not known"
    elif unit.parent is not None and _is_below(unit.parent, unit.id, parents):
        yield ("units", at, "parent"), f"unit {unit.id!r} would lie below itself"
    if unit.valid_to is not None and unit.valid_to <= unit.valid_from:
        yield ("units", at, "valid_to"), "the end is not after the beginning"


def _twice(kind: str, parts: Sequence[Unit | Device | Desk]) -> Iterator[Problem]:
    seen: set[str] = set()
    for at, part in enumerate(parts):
        if part.id in seen:
            yield (kind, at, "id"), f"{part.id!r} is named twice"
        seen.add(part.id)


def _is_below(unit: str, root: str, parents: dict[str, str | None]) -> bool:
    tree = {UnitId(name): None if up is None else UnitId(up) for name, up in parents.items()}
    return UnitId(unit) in subtree(UnitId(root), tree)


def _write(context: ServerContext, db: Session, wanted: RegistryFile) -> int:
    """Adds and changes rows; returns how many."""
    return (
        _merge(db, wanted.units, UnitRow, _unit_values)
        + _merge(db, wanted.devices, DeviceRow, lambda device: _device_values(context, db, device))
        + _merge(db, wanted.desks, DeskRow, lambda desk: _desk_values(db, desk))
    )


def _merge(
    db: Session,
    parts: Iterable[PartT],
    table: type[UnitRow] | type[DeviceRow] | type[DeskRow],
    values_of: Callable[[PartT], dict[str, Any]],
) -> int:
    changed = 0
    for part in parts:
        values = values_of(part)
        row = db.get(table, part.id)
        if row is None:
            registry.save(db, [table(**values)])
        elif all(getattr(row, name) == value for name, value in values.items()):
            continue
        else:
            row.sqlmodel_update(values)
            db.flush()
        changed += 1
    return changed


def _unit_values(unit: Unit) -> dict[str, Any]:
    return {
        "unit_id": unit.id,
        "parent_id": unit.parent,
        **unit.model_dump(exclude={"id", "parent"}),
    }


def _device_values(context: ServerContext, db: Session, device: Device) -> dict[str, Any]:
    known = registry.find_device(db, device.id)
    since = None if known is None else known.revoked_at
    revoked_at = since or (context.now() if device.revoked else None)  # for good
    return {"device_id": device.id, "unit_id": device.unit, "revoked_at": revoked_at}


def _desk_values(db: Session, desk: Desk) -> dict[str, Any]:
    """The key that signs the desk screen's codes is made once and then kept."""
    known = db.get(DeskRow, desk.id)
    return {
        "desk_id": desk.id,
        "unit_id": desk.unit,
        "name": desk.name,
        "device_id": desk.device,
        "schedule": desk.schedule,
        "token_key": token_hex(_TOKEN_KEY_BYTES) if known is None else known.token_key,
    }
