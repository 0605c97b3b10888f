"""What goes wrong is told in words, with a way on, and without what is behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from structlog.testing import capture_logs

from central_server.domain.permissions import Role
from central_server.http.app import make_internal_app
from central_server.http.dependencies import CSRF_HEADER
from central_server.http.public_app import make_public_app
from central_server.services.context import ServerContext
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import Clock, make_context
from tests.central_server.http.internal.browser import ORIGIN, Browser
from tests.central_server.http.internal.conftest import OpenBrowser, log_in
from tests.conftest import REPOSITORY
from tests.factories import NOW, add_province, make_id

SECRET = "postgresql://user:hunter2@db/onestop"
SURVEYS = REPOSITORY / "configs" / "surveys"
FLAG = f"/flags/{make_id('wait-commune-a')}"


@pytest.fixture
def broken(app: FastAPI) -> Iterator[str]:
    """A page whose program fails with a secret in its words."""

    def fail() -> None:
        raise RuntimeError(SECRET)

    # First: what follows it would answer that there is no such page.
    app.router.routes.insert(0, APIRoute("/broken", fail, include_in_schema=False))
    yield "/broken"
    del app.router.routes[0]  # other tests go on with this application


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_our_own_mistake_shows_nothing_of_itself(
    browser: OpenBrowser, broken: str, context: ServerContext, accept: str
) -> None:
    answer = browser(Role.INSPECTOR).get(broken, headers={"accept": accept})
    assert answer.status_code == 500
    for word in (SECRET, "hunter2", "RuntimeError", "Traceback", ".py", context.keys.pepper.hex()):
        assert word not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("referer", "leads_to"),
    [
        (f"{ORIGIN}/flags?rule=complaint&lang=vi", "/flags?rule=complaint&amp;lang=en"),
        (f"{ORIGIN}/flags", "/flags?lang=en"),
        ("https://elsewhere.example/flags", "/?lang=en"),
        ("", "/?lang=en"),
        ("javascript:alert(1)", "/?lang=en"),
    ],
)
def test_the_language_of_an_answer_to_a_form_leads_where_a_link_can(
    browser: OpenBrowser, referer: str, leads_to: str
) -> None:
    client = browser(Role.INSPECTOR)
    client.headers[CSRF_HEADER] = "wrong"
    answer = client.post(f"{FLAG}/take", headers={"referer": referer})
    assert answer.status_code == 403
    assert f'href="{leads_to}"' in answer.text
    assert client.get(leads_to.replace("&amp;", "&")).status_code in (200, 303)


def test_a_name_that_no_database_takes_is_not_found(any_database: Database, tmp_path: Path) -> None:
    context = make_context(any_database, tmp_path, Clock(NOW), surveys_directory=SURVEYS)
    with any_database.transaction() as db:
        add_province(db)
    inspector, citizen = (
        Browser(app) for app in (make_internal_app(context), make_public_app(context))
    )
    log_in(inspector, context, Role.INSPECTOR, "district")
    for path in ("/devices/%00", "/units/%00", "/api/v1/devices/%00", "/posters/%00", "/r/%00"):
        assert inspector.get(path).status_code == 404, path
    for path in ("/r/%00", "/u/%00"):
        assert citizen.get(path).status_code == 404, path
    assert citizen.get("/r?q=%00").status_code < 500
    for path in ("/sessions?desk=%00", "/flags?unit=%00", "/login?next=%00"):
        assert inspector.get(path).status_code < 500, path
    wrong = {"user": "a\0b", "password": "\0"}
    assert inspector.post("/login", wrong).status_code == 422


def test_by_tls_a_browser_is_told_to_stay_with_it(browser: OpenBrowser) -> None:
    client = browser()
    assert "strict-transport-security" not in client.get("/login").headers
    told = client.get(ORIGIN.replace("http:", "https:") + "/login").headers
    assert told["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_whoever_reaches_for_what_is_not_theirs_is_on_record(browser: OpenBrowser) -> None:
    outside = f"/flags/{make_id('wait-commune-c')}"
    officer, inspector = browser(Role.UNIT_OFFICER), browser(Role.INSPECTOR)
    with capture_logs() as lines:
        inspector.get(outside)
        inspector.get(f"/api/v1{outside}")
        officer.post(f"{FLAG}/take")
        inspector.headers[CSRF_HEADER] = "forged"
        inspector.post(f"{FLAG}/take")
        browser().get(outside)  # nobody: led to the log-in page
    page, take = "/flags/{flag_id}", "/flags/{flag_id}/take"
    assert [(line["user"], line["method"], line["route"], line["code"]) for line in lines] == [
        ("inspector-district", "GET", page, "error.not_found"),
        ("inspector-district", "GET", page, "error.not_found"),
        ("unit_officer-district", "POST", take, "error.not_found"),
        ("inspector-district", "POST", take, "error.forged"),
    ]


def test_no_door_opens_to_methods_and_addresses_that_tell_of_the_inside(
    context: ServerContext,
) -> None:
    for app in (make_internal_app(context), make_public_app(context)):
        client = Browser(app)
        for path in ("/login", "/receipt", "/static/theme.css"):
            assert client.ask("TRACE", path).status_code in (404, 405), path
        for path in ("/static/", "/static/vendor/", "/static/..%2fpages.py", "/.git/HEAD"):
            assert client.get(path).status_code == 404, path
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert client.get(path).status_code == 404, path


def test_who_speaks_in_the_clear_is_not_led_to_tls_unseen(browser: OpenBrowser) -> None:
    headers = {"host": "server.example", "accept": "application/json"}
    for path in ("/api/v1/session", "/api/v1/flags", "/api/v1/certificates", "/healthz"):
        assert not browser().get(path, headers=headers).has_redirect_location, path


def test_logging_out_leaves_nothing_in_the_browser(browser: OpenBrowser) -> None:
    answer = browser(Role.INSPECTOR).post("/logout")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
