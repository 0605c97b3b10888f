"""Every route for every role, inside and outside its subtree; a route without an entry fails."""

from typing import NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from central_server.domain.permissions import PERMISSIONS, Permission, Role
from central_server.http.public_app import make_public_app
from central_server.services.context import ServerContext
from tests.central_server.http.internal.browser import Browser
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.factories import make_id, make_received_clip

P = Permission
INSIDE, OUTSIDE = "commune-a", "commune-c"
WHY = {"reason": "đã kiểm tra"}
OUTSIDE_WORDS = ("Cẩm Sơn", "commune-c", make_id("session-commune-c"), make_id("wait-commune-c"))


class Entry(NamedTuple):
    """Who may use a route: any of these permissions; with what it is asked."""

    permissions: frozenset[Permission]
    form: dict[str, str] | None = None
    json: dict[str, str] | None = None


def _any(*permissions: Permission, **sent: dict[str, str]) -> Entry:
    return Entry(frozenset(permissions), sent.get("form"), sent.get("json"))


# Behind log-in, by method and path.
GUARDED: dict[tuple[str, str], Entry] = {
    ("GET", "/flags"): _any(P.SEE_FLAGS, P.SEE_UNIT_FIGURES),
    ("GET", "/flags/{flag_id}"): _any(P.SEE_FLAGS, P.SEE_UNIT_FIGURES),
    ("POST", "/flags/{flag_id}/take"): _any(P.DECIDE_FLAGS, form={}),
    ("POST", "/flags/{flag_id}/release"): _any(P.DECIDE_FLAGS, form={}),
    ("POST", "/flags/{flag_id}/dismiss"): _any(P.DECIDE_FLAGS, form={"reason": "đã kiểm tra"}),
    ("POST", "/flags/{flag_id}/acknowledge"): _any(P.DECIDE_FLAGS, form={}),
    ("POST", "/flags/{flag_id}/evidence"): _any(P.ASK_EVIDENCE, form=WHY),
    ("GET", "/evidence/{request_id}"): _any(P.SEE_EVIDENCE),
    ("POST", "/evidence/{request_id}/view"): _any(P.SEE_EVIDENCE, form=WHY),
    ("POST", "/evidence/{request_id}/hold"): _any(P.ASK_EVIDENCE, form=WHY),
    ("POST", "/evidence/{request_id}/lift"): _any(P.ASK_EVIDENCE, form=WHY),
    ("GET", "/evidence/{request_id}/content"): _any(P.SEE_EVIDENCE),
    ("GET", "/sessions"): _any(P.SEE_SESSIONS),
    ("GET", "/sessions/{session_id}"): _any(P.SEE_SESSIONS),
    ("GET", "/devices"): _any(P.SEE_DEVICES),
    ("GET", "/devices/{device_id}"): _any(P.SEE_DEVICES),
    ("GET", "/posters/{desk}"): _any(P.SEE_DEVICES),
    ("GET", "/units"): _any(P.SEE_UNIT_FIGURES),
    ("GET", "/units/{unit_id}"): _any(P.SEE_UNIT_FIGURES),
    ("GET", "/scorecards"): _any(P.SEE_UNIT_FIGURES),
    ("GET", "/hotline"): _any(P.ENTER_FEEDBACK),
    ("POST", "/hotline"): _any(P.ENTER_FEEDBACK, form={}),
    ("GET", "/api/v1/flags"): _any(P.SEE_FLAGS, P.SEE_UNIT_FIGURES),
    ("GET", "/api/v1/flags/{flag_id}"): _any(P.SEE_FLAGS, P.SEE_UNIT_FIGURES),
    ("POST", "/api/v1/flags/{flag_id}/take"): _any(P.DECIDE_FLAGS),
    ("POST", "/api/v1/flags/{flag_id}/release"): _any(P.DECIDE_FLAGS),
    ("POST", "/api/v1/flags/{flag_id}/dismiss"): _any(P.DECIDE_FLAGS, json={"reason": "xong"}),
    ("GET", "/api/v1/flags/{flag_id}/evidence"): _any(P.SEE_EVIDENCE),
    ("POST", "/api/v1/flags/{flag_id}/evidence"): _any(P.ASK_EVIDENCE, json=WHY),
    ("GET", "/api/v1/evidence/{request_id}"): _any(P.SEE_EVIDENCE),
    ("POST", "/api/v1/evidence/{request_id}/views"): _any(P.SEE_EVIDENCE, json=WHY),
    ("POST", "/api/v1/evidence/{request_id}/hold"): _any(P.ASK_EVIDENCE, json=WHY),
    ("POST", "/api/v1/evidence/{request_id}/lift"): _any(P.ASK_EVIDENCE, json=WHY),
    ("GET", "/api/v1/evidence/{request_id}/content"): _any(P.SEE_EVIDENCE),
    ("GET", "/api/v1/sessions"): _any(P.SEE_SESSIONS),
    ("GET", "/api/v1/sessions/{session_id}"): _any(P.SEE_SESSIONS),
    ("GET", "/api/v1/sessions/{session_id}/timeline"): _any(P.SEE_SESSIONS),
    ("GET", "/api/v1/devices"): _any(P.SEE_DEVICES),
    ("GET", "/api/v1/devices/{device_id}"): _any(P.SEE_DEVICES),
    ("GET", "/api/v1/units"): _any(P.SEE_UNIT_FIGURES),
    ("GET", "/api/v1/units/{unit_id}"): _any(P.SEE_UNIT_FIGURES),
    ("GET", "/api/v1/scorecards"): _any(P.SEE_UNIT_FIGURES),
}
# About the whole log or the viewer; the stream never ends and has tests of its own; answering a
# citizen needs a complaint and has one too.
ELSEWHERE = {
    ("GET", "/"),
    ("GET", "/audit"),
    ("GET", "/audit/heads"),
    ("GET", "/audit/heads/{sequence}"),
    ("GET", "/audit/heads/{sequence}/copy"),
    ("GET", "/flags/stream"),
    ("POST", "/flags/{flag_id}/answer"),
    ("POST", "/logout"),
    ("GET", "/account"),
    ("POST", "/account/password"),
    ("GET", "/account/second-factor"),
    ("POST", "/account/second-factor"),
    ("POST", "/account/sessions/{login_id}/end"),
    ("POST", "/account/sessions/end-others"),
    ("GET", "/login/second"),
    ("POST", "/login/second"),
    ("GET", "/api/v1/session"),
    ("DELETE", "/api/v1/session"),
}
# For everybody: the way in, and what tells nothing of any unit.
OPEN = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/login/oidc"),
    ("GET", "/login/oidc/callback"),
    ("POST", "/api/v1/session"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/static"),
    ("POST", "/api/v1/enrolments"),
    ("GET", "/api/v1/authority"),
    # For devices, by their signatures: see test_evidence_uploads.py, test_enrolment.py.
    ("POST", "/api/v1/certificates"),
    ("PUT", "/api/v1/uploads/{request_id}"),
    ("HEAD", "/api/v1/uploads/{request_id}"),
    ("PATCH", "/api/v1/uploads/{request_id}"),
}


# The citizens' application: for everybody alike, whoever else the browser has logged in as.
PUBLIC = {
    ("GET", "/r"),
    ("POST", "/r"),
    ("GET", "/r/{desk}"),
    ("POST", "/r/{desk}"),
    ("GET", "/u/{unit_id}"),
    ("POST", "/u/{unit_id}"),
    ("GET", "/receipt"),
    ("POST", "/receipt"),
    ("GET", "/static"),
}


def _address(path: str, unit: str) -> str:
    return path.format(
        flag_id=make_id(f"wait-{unit}"),
        session_id=make_id(f"session-{unit}"),
        request_id=make_id(f"pictures-{unit}"),
        device_id=f"device-{unit}",
        unit_id=unit,
        desk=f"desk-{unit}",
        login_id="0" * 64,
        sequence=1,
    )


def _routes(app: FastAPI) -> set[tuple[str, str]]:
    found = set()
    for route in iter_route_contexts(app.routes):
        methods = route.methods or {"GET"}
        # Static files answer HEAD as they answer GET.
        for method in methods - ({"HEAD"} if "GET" in methods else set()):
            found.add((method, route.path or ""))
    return found


@pytest.fixture(autouse=True)
def _pictures(context: ServerContext) -> None:
    """A clip of each commune that has been received."""
    with context.database.transaction() as db:
        for unit in (INSIDE, OUTSIDE):
            db.add(make_received_clip(unit))


def test_every_route_has_an_entry(app: FastAPI) -> None:
    assert _routes(app) == set(GUARDED) | ELSEWHERE | OPEN


@pytest.mark.parametrize("role", Role)
def test_each_role_inside_and_outside_its_subtree(browser: OpenBrowser, role: Role) -> None:
    client = browser(role)
    for (method, path), entry in GUARDED.items():
        may = bool(entry.permissions & PERMISSIONS[role])
        for unit in (INSIDE, OUTSIDE):
            is_thing = "{" in path
            answer = client.ask(method, _address(path, unit), data=entry.form, json=entry.json)
            where = f"{role} {method} {_address(path, unit)}: {answer.status_code}"
            if not may or (is_thing and unit == OUTSIDE):
                assert answer.status_code == 404, where
            else:
                assert answer.status_code in (200, 303, 409, 422), where
            if not is_thing or unit == OUTSIDE:
                assert not [word for word in OUTSIDE_WORDS if word in answer.text], where


def test_nobody_gets_in_without_logging_in(browser: OpenBrowser) -> None:
    client = browser()
    for method, path in [*GUARDED, *ELSEWHERE]:
        answer = client.ask(method, _address(path, INSIDE))
        if path.startswith("/api/"):
            assert answer.status_code == 401, path
            assert answer.json()["code"] == "error.not_logged_in"
        else:
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/login"), path


def test_every_page_lets_one_out(browser: OpenBrowser) -> None:
    for (method, path), entry in GUARDED.items():
        if path == "/posters/{desk}":  # a sheet to be printed
            continue
        role = next(role for role in Role if entry.permissions & PERMISSIONS[role])
        if method == "GET" and not path.startswith(("/api/", "/evidence/")):
            page = browser(role).get(_address(path, INSIDE))
            assert page.status_code == 200, path
            assert 'action="/logout"' in page.text, path


def test_citizens_pages_are_the_same_for_every_role(
    context: ServerContext, browser: OpenBrowser
) -> None:
    app = make_public_app(context)
    assert _routes(app) == PUBLIC
    for method, path in PUBLIC:
        for unit in (INSIDE, OUTSIDE):
            nobody = Browser(app).ask(method, _address(path, unit))
            for role in Role:
                client = Browser(app)
                client.cookies, client.headers = browser(role).cookies, browser(role).headers
                answer = client.ask(method, _address(path, unit))
                assert answer.status_code == nobody.status_code, (role, path)
                assert "set-cookie" not in answer.headers
                assert f"{role.value}-district" not in answer.text


def test_a_filter_can_only_take_away(browser: OpenBrowser) -> None:
    client = browser(Role.INSPECTOR)
    for unit in ("commune-c", "province", "elsewhere", "nowhere"):
        for path in ("/api/v1/flags", "/api/v1/sessions", "/api/v1/devices"):
            items = client.get(path, params={"unit": unit}).json()["items"]
            assert not [item for item in items if item["unit_id"] == "commune-c"]
