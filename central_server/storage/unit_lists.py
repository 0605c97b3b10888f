"""Units and desks as pages list them."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from central_server.domain.permissions import UnitId, UnitScope
from central_server.storage.tables import DeskRow, UnitRow


def parents(db: Session) -> dict[UnitId, UnitId | None]:
    """Each unit's parent: the tree from which scopes are made."""
    rows = db.exec(select(UnitRow.unit_id, UnitRow.parent_id))
    return {UnitId(unit): None if parent is None else UnitId(parent) for unit, parent in rows}


def list_units(db: Session, scope: UnitScope) -> list[UnitRow]:
    """The scope's units by name."""
    query = select(UnitRow).where(col(UnitRow.unit_id).in_(scope.unit_ids))
    return list(db.exec(query.order_by(UnitRow.name, UnitRow.unit_id)))


def list_desks(db: Session, scope: UnitScope) -> list[DeskRow]:
    """The desks of the scope's units by name."""
    query = select(DeskRow).where(col(DeskRow.unit_id).in_(scope.unit_ids))
    return list(db.exec(query.order_by(DeskRow.name, DeskRow.desk_id)))


@dataclass(frozen=True, slots=True)
class Names:
    """What people call the units and desks of a scope, by id."""

    units: dict[str, str]
    desks: dict[str, str]

    def unit(self, unit_id: str) -> str:
        """The unit's name, or its id where no name is known."""
        return self.units.get(unit_id, unit_id)

    def desk(self, desk_id: str | None) -> str:
        """The desk's name, or its id where no name is known; a dash for no desk."""
        return "–" if desk_id is None else self.desks.get(desk_id, desk_id)


def names(db: Session, scope: UnitScope) -> Names:
    """Names for a page's rows and for its filters."""
    return Names(
        units={unit.unit_id: unit.name for unit in list_units(db, scope)},
        desks={desk.desk_id: desk.name for desk in list_desks(db, scope)},
    )
