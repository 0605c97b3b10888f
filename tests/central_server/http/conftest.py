"""The citizens' application over a real database: a province, two communes, two desks."""

from datetime import date
from pathlib import Path

import pytest
from fastapi import FastAPI

from central_server.http.public_app import make_public_app
from central_server.http.public_pages import PublicParts
from central_server.services.context import ServerContext
from central_server.services.surveys import load_surveys
from central_server.storage import registry
from central_server.storage.tables import DeskRow, UnitRow
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import Clock, make_context
from tests.central_server.http.citizen import TOKEN_KEY, Citizen

# As for the internal application: made once for all tests of a process.
_shared: list[FastAPI] = []


@pytest.fixture
def clock() -> Clock:
    """Stands still until a test moves it."""
    return Clock()


@pytest.fixture
def context(database: Database, tmp_path: Path, clock: Clock, repository: Path) -> ServerContext:
    """unit-a has desk-1 and desk-2; unit-old was merged into it before the clock's time."""
    desks = [
        DeskRow(desk_id=name, unit_id="unit-a", name=title, token_key=TOKEN_KEY.hex())
        for name, title in (("desk-1", "Quầy cư trú"), ("desk-2", "Quầy căn cước"))
    ]
    with database.transaction() as db:
        registry.save(
            db,
            [
                _unit("province", "Tỉnh Nghệ An", parent=None),
                _unit("unit-a", "Xã Đô Lương"),
                _unit("unit-b", "Phường Vinh Hưng"),
                _unit("unit-old", "Xã đã sáp nhập", until=date(2025, 7, 1)),
                *desks,
            ],
        )
    return make_context(
        database,
        tmp_path,
        clock,
        rules_file=repository / "configs" / "flag_rules.yaml",
        surveys_directory=repository / "configs" / "surveys",
    )


@pytest.fixture
def citizen(context: ServerContext) -> Citizen:
    """A phone with the citizens' pages over this test's server."""
    if not _shared:
        _shared.append(make_public_app(context))
    (app,) = _shared
    app.state.parts = PublicParts(context, load_surveys(context.settings.surveys_directory))
    return Citizen(app)


def _unit(
    name: str, title: str, parent: str | None = "province", until: date | None = None
) -> UnitRow:
    return UnitRow(
        unit_id=name,
        parent_id=parent,
        name=title,
        kind="commune",
        valid_from=date(2020, 1, 1),
        valid_to=until,
    )
