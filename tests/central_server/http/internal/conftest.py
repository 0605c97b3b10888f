"""The internal application over a small province, and browsers of people in each role."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI

from central_server.domain.permissions import Role, UnitId, UserId, Viewer
from central_server.http.app import make_internal_app
from central_server.http.dependencies import COOKIE, CSRF_HEADER
from central_server.services import logins, rule_sets
from central_server.services.context import ServerContext
from central_server.storage.account_tables import UserRow
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import Clock, make_context
from tests.central_server.http.internal.browser import Browser
from tests.factories import NOW, add_province

OpenBrowser = Callable[..., Browser]


@pytest.fixture
def context(database: Database, tmp_path: Path) -> ServerContext:
    """A server whose clock stands at `NOW`, with a province in its database."""
    made = make_context(database, tmp_path, Clock(NOW), evidence={"reserve_mb": 0})
    rule_sets.activate(made)
    with database.transaction() as db:
        add_province(db)
    return made


# Made once for all tests of a process: to work out an application's routes takes longer than most
# tests do.
_shared: list[FastAPI] = []


@pytest.fixture
def app(context: ServerContext) -> FastAPI:
    """The internal application over this test's server; all it knows of one is in its state."""
    if not _shared:
        _shared.append(make_internal_app(context))
    (app,) = _shared
    app.state.context, app.state.broker_is_linked = context, None
    return app


@pytest.fixture
def browser(app: FastAPI, context: ServerContext) -> OpenBrowser:
    """Opens a browser; with a role, one that is logged in and sends the CSRF header."""

    def open_browser(role: Role | None = None, unit: str = "district") -> Browser:
        opened = Browser(app)
        if role is not None:
            log_in(opened, context, role, unit)
        return opened

    return open_browser


def log_in(browser: Browser, context: ServerContext, role: Role, unit: str) -> None:
    """Logs a new account in without the cost of its password."""
    viewer = Viewer(UserId(f"{role.value}-{unit}"), role, UnitId(unit))
    with context.database.transaction() as db:
        db.merge(
            UserRow(
                user_id=viewer.user_id,
                password_hash="none",
                role=role.value,
                unit_id=unit,
                created_at=NOW,
            )
        )
    login = logins.open_login(context, viewer)
    browser.cookies.set(COOKIE, login.token)
    browser.headers[CSRF_HEADER] = login.csrf_token
