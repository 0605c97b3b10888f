"""What goes wrong is told in words, with a way on, and without what is behind it."""

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from central_server.domain.permissions import Role
from central_server.http.dependencies import CSRF_HEADER
from central_server.services.context import ServerContext
from tests.central_server.http.internal.browser import ORIGIN
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.factories import make_id

SECRET = "postgresql://user:hunter2@db/onestop"
FLAG = f"/flags/{make_id('wait-commune-a')}"


@pytest.fixture
def broken(app: FastAPI) -> str:
    """A page whose program fails with a secret in its words."""

    def fail() -> None:
        raise RuntimeError(SECRET)

    # First: what follows it would answer that there is no such page.
    app.router.routes.insert(0, APIRoute("/broken", fail, include_in_schema=False))
    return "/broken"


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


def test_by_tls_a_browser_is_told_to_stay_with_it(browser: OpenBrowser) -> None:
    client = browser()
    assert "strict-transport-security" not in client.get("/login").headers
    told = client.get(ORIGIN.replace("http:", "https:") + "/login").headers
    assert told["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_logging_out_leaves_nothing_in_the_browser(browser: OpenBrowser) -> None:
    answer = browser(Role.INSPECTOR).post("/logout")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
