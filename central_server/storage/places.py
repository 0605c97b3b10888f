"""Units and desks as citizens find them: public, so no viewer's scope applies."""

from dataclasses import dataclass
from datetime import date

from sqlmodel import Session, col, or_, select

from central_server.storage.tables import DeskRow, UnitRow


@dataclass(frozen=True, slots=True)
class Place:
    """What can be rated: a desk, or a unit as a whole (`desk` is `None`)."""

    unit_id: str
    unit_name: str
    desk: str | None = None
    desk_name: str | None = None
    token_key: bytes = b""  # of the desk's QR codes


def find_desk_place(db: Session, desk: str) -> Place | None:
    """That desk with its unit."""
    row = db.exec(
        select(DeskRow, UnitRow)
        .join(UnitRow, col(UnitRow.unit_id) == col(DeskRow.unit_id))
        .where(DeskRow.desk_id == desk)
    ).first()
    if row is None:
        return None
    found, unit = row
    key = bytes.fromhex(found.token_key)
    return Place(unit.unit_id, unit.name, found.desk_id, found.name, key)


def find_unit_place(db: Session, unit_id: str) -> Place | None:
    """That unit as a whole."""
    unit = db.get(UnitRow, unit_id)
    return None if unit is None else Place(unit.unit_id, unit.name)


def list_units_on(db: Session, day: date) -> list[UnitRow]:
    """The units that exist on that day, by name."""
    in_force = (
        col(UnitRow.valid_from) <= day,
        or_(col(UnitRow.valid_to).is_(None), col(UnitRow.valid_to) > day),
    )
    return list(db.exec(select(UnitRow).where(*in_force).order_by(UnitRow.name, UnitRow.unit_id)))


def list_desks_of(db: Session, unit_id: str) -> list[DeskRow]:
    """The unit's desks, by name."""
    query = select(DeskRow).where(DeskRow.unit_id == unit_id)
    return list(db.exec(query.order_by(DeskRow.name, DeskRow.desk_id)))
