"""The tree of units, and one unit with its desks."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from central_server.domain.permissions import FlagScope, Permission, only, require_in
from central_server.http.dependencies import CurrentVisit
from central_server.storage import device_lists, flag_lists, unit_lists
from central_server.storage.flag_lists import FlagFilter
from central_server.storage.tables import UnitRow

router = APIRouter(prefix="/units", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Branch:
    """A unit at its depth in the tree."""

    unit: UnitRow
    depth: int


@router.get("")
def list_units(visit: CurrentVisit) -> HTMLResponse:
    """The viewer's part of the tree."""
    scope = visit.scope(Permission.SEE_UNIT_FIGURES)
    with visit.context.database.reading() as db:
        units = unit_lists.list_units(db, scope)
        desks = unit_lists.list_desks(db, scope)
    counts: dict[str, int] = {}
    for desk in desks:
        counts[desk.unit_id] = counts.get(desk.unit_id, 0) + 1
    return visit.page("units/list.html", branches=list(_tree(units)), desk_counts=counts)


@router.get("/{unit_id}")
def show_unit(visit: CurrentVisit, unit_id: str) -> HTMLResponse:
    """One unit: where it stands, its desks and devices, what lies below it."""
    scope = visit.scope(Permission.SEE_UNIT_FIGURES)
    unit = only(scope, require_in(scope, unit_id))
    flags = FlagScope(unit, visit.flag_scope().inspection)
    with visit.context.database.reading() as db:
        units = {u.unit_id: u for u in unit_lists.list_units(db, scope)}
        own = units[unit_id]
        return visit.page(
            "units/detail.html",
            unit=own,
            parent=units.get(own.parent_id or ""),
            children=[u for u in units.values() if u.parent_id == unit_id],
            desks=unit_lists.list_desks(db, unit),
            devices=device_lists.list_devices(db, unit),
            health_of=device_lists.health_of,
            flag_count=sum(flag_lists.count_flags(db, flags, FlagFilter()).values()),
        )


def _tree(units: list[UnitRow]) -> Iterator[Branch]:
    """Depth first, names in order; a unit whose parent is out of scope is a root."""
    known = {unit.unit_id for unit in units}
    children: dict[str | None, list[UnitRow]] = {}
    for unit in units:
        children.setdefault(unit.parent_id if unit.parent_id in known else None, []).append(unit)
    pending = [Branch(unit, 0) for unit in reversed(children.get(None, []))]
    while pending:
        branch = pending.pop()
        yield branch
        below = children.get(branch.unit.unit_id, [])
        pending += [Branch(unit, branch.depth + 1) for unit in reversed(below)]
