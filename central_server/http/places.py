"""From home: find the unit in the tree or by its name, then the desk. Works without script."""

import unicodedata
from collections.abc import Iterable, Mapping

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from central_server.domain.errors import NotFoundError
from central_server.http.public_pages import Page
from central_server.storage import places
from central_server.storage.tables import UnitRow
from web.pages import LOCAL_TIME

router = APIRouter(include_in_schema=False)

MAX_FOUND = 40


@router.get("/r")
def choose_place(page: Page, unit: str | None = None, q: str = "") -> HTMLResponse:
    """The tree from its top or from `unit`, or the units whose names hold the words of `q`."""
    today = page.context.now().astimezone(LOCAL_TIME).date()
    with page.context.database.reading() as db:
        units = {row.unit_id: row for row in places.list_units_on(db, today)}
        if unit is not None and unit not in units:
            raise NotFoundError()
        below = _below(unit, units)
        if unit is None and len(below) == 1:  # one province: begin inside it
            unit = below[0].unit_id
            below = _below(unit, units)
        found = find_by_name(units.values(), q)
        return page.show(
            "choose",
            here=None if unit is None else units[unit],
            way=_way_to(unit, units),
            below=below,
            desks=[] if unit is None else places.list_desks_of(db, unit),
            words=q.strip(),
            found=[(row, _way_to(row.parent_id, units)) for row in found[:MAX_FOUND]],
            is_cut=len(found) > MAX_FOUND,
        )


def find_by_name(units: Iterable[UnitRow], words: str) -> list[UnitRow]:
    """Units whose names hold every word, with or without Vietnamese marks."""
    wanted = _plain(words).split()
    if not wanted:
        return []
    return [unit for unit in units if all(word in _plain(unit.name) for word in wanted)]


def _plain(text: str) -> str:
    """Lower case without marks: people type `nghe an` for Nghệ An."""
    parts = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _way_to(unit: str | None, units: Mapping[str, UnitRow]) -> list[UnitRow]:
    """From the top down to that unit; a ring in the tree ends the way."""
    way: list[UnitRow] = []
    row = units.get(unit or "")
    while row is not None and row not in way:
        way.insert(0, row)
        row = units.get(row.parent_id or "")
    return way


def _below(unit: str | None, units: Mapping[str, UnitRow]) -> list[UnitRow]:
    """The unit's children, or the tops: those whose parent does not exist today."""
    if unit is None:
        return [row for row in units.values() if row.parent_id not in units]
    return [row for row in units.values() if row.parent_id == unit]
