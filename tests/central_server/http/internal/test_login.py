"""Logging in and out, and what a change must prove."""

import re
import unicodedata
from datetime import timedelta

import httpx
import pytest
from sqlmodel import select
from structlog.testing import capture_logs

from central_server.domain.errors import InvalidError
from central_server.domain.permissions import Role
from central_server.http.dependencies import COOKIE, CSRF_HEADER, LISTENING_HEADER
from central_server.http.language import LANGUAGE_COOKIE
from central_server.services import accounts
from central_server.services.context import ServerContext
from central_server.storage.account_tables import LoginRow, UserRow
from tests.central_server.factories import Clock
from tests.central_server.http.internal.browser import ORIGIN
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.factories import make_id

PASSWORD = "một mật khẩu đủ dài"
TAKE = f"/flags/{make_id('wait-commune-a')}/take"


@pytest.fixture
def inspector(context: ServerContext) -> str:
    """The log-in name of an account with `PASSWORD`."""
    accounts.create_user(
        context, user_id="thanh-tra", password=PASSWORD, role=Role.INSPECTOR, unit_id="district"
    )
    return "thanh-tra"


def _clock(context: ServerContext) -> Clock:
    assert isinstance(context.now, Clock)
    return context.now


def test_the_form_leads_to_where_one_wanted_to_go(browser: OpenBrowser, inspector: str) -> None:
    client = browser()
    asked = client.get("/sessions?state=ended")
    assert asked.headers["location"] == "/login?next=%2Fsessions%3Fstate%3Dended"
    page = client.get(asked.headers["location"]).text
    assert 'href="/login?next=%2Fsessions%3Fstate%3Dended&amp;lang=en"' in page
    form = {"user": inspector, "password": PASSWORD, "next": "/sessions?state=ended"}
    answer = client.post("/login", form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sessions?state=ended")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie, "a browser on the same machine may speak plain HTTP"
    assert client.get("/").headers["location"] == "/flags"


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil", "https://evil.example", "/a\nb"])
def test_it_leads_to_no_other_site(browser: OpenBrowser, inspector: str, target: str) -> None:
    form = {"user": inspector, "password": PASSWORD, "next": target}
    assert browser().post("/login", form).headers["location"] == "/"


def test_outside_this_machine_the_cookie_needs_tls(browser: OpenBrowser, inspector: str) -> None:
    headers = {"host": "server.example", "origin": "http://server.example"}
    form = {"user": inspector, "password": PASSWORD}
    answer = browser().post("/login", form, headers=headers)
    assert "Secure" in answer.headers["set-cookie"]
    assert "https://" in browser().get("/login", headers=headers).text


def test_outside_this_machine_no_other_host_can_set_a_cookie(
    browser: OpenBrowser, inspector: str
) -> None:
    client, https = browser(), {"host": "server.example", "origin": "https://server.example"}

    def ask(method: str, path: str, cookie: str = "", **sent: object) -> httpx.Response:
        client.cookies.clear()
        return client.ask(method, path, headers={**https, "cookie": cookie}, **sent)

    opened = ask("POST", "/login", data={"user": inspector, "password": PASSWORD})
    spoken = ask("GET", "/login?lang=en")
    for answer, name in ((opened, COOKIE), (spoken, LANGUAGE_COOKIE)):
        (said,) = answer.headers.get_list("set-cookie")
        pair, *attributes = said.split("; ")
        assert pair.startswith(f"__Host-{name}=")
        assert {"Path=/", "Secure", "HttpOnly"} <= set(attributes)
        assert "Domain" not in said
    pair = opened.headers["set-cookie"].partition(";")[0]
    assert ask("GET", "/flags", pair).status_code == 200
    assert ask("GET", "/flags", pair.removeprefix("__Host-")).status_code == 303
    token = ask("GET", "/api/v1/session", pair).json()["csrf_token"]
    ended = ask("POST", "/logout", pair, data={"csrf_token": token})
    assert ended.headers["set-cookie"].startswith(f'__Host-{COOKIE}="";')
    assert "Secure" in ended.headers["set-cookie"], "or the browser would keep it"
    assert ask("GET", "/flags", pair).status_code == 303


@pytest.mark.parametrize("host", ["[", "[::1", "", "a b", "127.0.0.1:x"])
def test_a_host_that_is_none_is_answered(browser: OpenBrowser, host: str) -> None:
    for path in ("/login", "/login?lang=en", "/flags", "/api/v1/session"):
        assert browser().get(path, headers={"host": host}).status_code < 500


def test_fields_for_passwords_hide_them_and_take_them_from_a_manager(browser: OpenBrowser) -> None:
    fields = [
        field
        for client, path in (
            (browser(), "/login"),
            (browser(Role.OPERATOR), "/account"),
            (browser(Role.OPERATOR), "/account/second-factor"),
        )
        for field in re.findall(r"<input[^>]*>", client.get(path).text)
        if "password" in field
    ]
    names = {found[1] for field in fields if (found := re.search(r'name="(\w+)"', field))}
    assert names == {"password", "current", "new"}
    for field in fields:
        assert 'type="password"' in field
        assert re.search(r'autocomplete="(current|new)-password"', field)
        assert "onpaste" not in field


@pytest.mark.parametrize(
    "typed",
    [PASSWORD.upper(), f"{PASSWORD} ", PASSWORD[:-1], unicodedata.normalize("NFD", PASSWORD)],
)
def test_a_password_counts_as_it_was_typed(
    context: ServerContext, inspector: str, typed: str
) -> None:
    assert accounts.authenticate(context, inspector, typed) is None


def test_nothing_of_a_long_password_is_left_out(context: ServerContext) -> None:
    longest = "mật khẩu " * 25
    accounts.create_user(
        context, user_id="dai", password=longest[:200], role=Role.OPERATOR, unit_id="district"
    )
    assert accounts.authenticate(context, "dai", longest[:200] + "x") is None
    assert accounts.authenticate(context, "dai", longest[:199]) is None
    assert accounts.authenticate(context, "dai", longest[:200]) is not None


def test_a_password_does_not_wear_out_and_is_kept_by_argon2id(
    context: ServerContext, inspector: str
) -> None:
    _clock(context).advance(timedelta(days=1000).total_seconds())
    assert accounts.authenticate(context, inspector, PASSWORD) is not None
    with context.database.reading() as db:
        assert db.get_one(UserRow, inspector).password_hash.startswith("$argon2id$")


def test_no_account_comes_with_the_program(context: ServerContext) -> None:
    with context.database.reading() as db:
        assert db.exec(select(UserRow)).all() == []


def test_who_comes_in_and_who_does_not_is_logged(browser: OpenBrowser, inspector: str) -> None:
    client = browser()
    with capture_logs() as lines:
        client.post("/login", {"user": inspector, "password": "sai"})
        client.post("/login", {"user": "mat-khau-go-nham", "password": PASSWORD})
        client.post("/login", {"user": inspector, "password": PASSWORD})
    said = [(line["event"], line.get("user"), line.get("stage")) for line in lines]
    refused = ("log-in refused", None, None)
    assert said == [refused, refused, ("logged in", inspector, "complete")]
    assert "mat-khau-go-nham" not in str(lines)


def test_wrong_unknown_and_locked_answer_the_same(
    browser: OpenBrowser, context: ServerContext, inspector: str
) -> None:
    client = browser()

    def attempt(user: str, password: str) -> str:
        answer = client.post("/login", {"user": user, "password": password})
        assert answer.status_code in (303, 422)
        return "in" if answer.status_code == 303 else answer.text.replace(user, "…")

    unknown = attempt("khong-ai", PASSWORD)
    assert attempt(inspector, "sai") == unknown
    for _ in range(4):
        attempt(inspector, "sai")
    assert attempt(inspector, PASSWORD) == unknown, "locked after five failures"
    _clock(context).advance(31)
    assert attempt(inspector, PASSWORD) == "in"


def test_a_disabled_or_idle_log_in_ends(browser: OpenBrowser, context: ServerContext) -> None:
    client = browser(Role.INSPECTOR)
    for _ in range(3):
        _clock(context).advance(timedelta(minutes=20).total_seconds())
        assert client.get("/flags").status_code == 200, "use keeps it alive"
    for _ in range(2):
        _clock(context).advance(timedelta(minutes=16.5).total_seconds())
        answer = client.get("/flags", headers={LISTENING_HEADER: "1"})
    assert answer.status_code == 303, "what an open page asks by itself does not"


def test_logging_in_anew_ends_the_former_session(browser: OpenBrowser, inspector: str) -> None:
    client = browser()
    form = {"user": inspector, "password": PASSWORD}
    client.post("/login", form)
    former = client.cookies[COOKIE]
    client.post("/login", form)
    assert client.cookies[COOKIE] != former
    client.cookies.clear()
    client.cookies.set(COOKIE, former)
    assert client.get("/flags").status_code == 303


def test_only_the_tokens_hash_is_stored(
    browser: OpenBrowser, context: ServerContext, inspector: str
) -> None:
    client = browser()
    client.post("/login", {"user": inspector, "password": PASSWORD})
    with context.database.reading() as db:
        assert db.get(LoginRow, client.cookies[COOKIE]) is None


def test_a_change_needs_the_sessions_token(browser: OpenBrowser) -> None:
    client = browser(Role.INSPECTOR)
    token = client.headers.pop(CSRF_HEADER)
    assert client.post(TAKE).status_code == 403
    assert client.post(TAKE, {"csrf_token": "x" * 43}).status_code == 403
    assert client.post("/logout").status_code == 403
    assert client.post(TAKE, {"csrf_token": token}).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_no_other_site_may_ask_for_a_change(
    browser: OpenBrowser, inspector: str, headers: dict[str, str]
) -> None:
    client = browser(Role.INSPECTOR)
    assert client.post(TAKE, headers=headers).status_code == 403
    form = {"user": inspector, "password": PASSWORD}
    assert client.post("/login", form, headers=headers).status_code == 403
    own = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
    assert client.post(TAKE, headers=own).status_code == 303


def test_logging_out_ends_it_on_the_server(browser: OpenBrowser) -> None:
    client = browser(Role.INSPECTOR)
    token = client.cookies[COOKIE]
    assert client.post("/logout").headers["location"] == "/login"
    client.cookies.set(COOKIE, token)
    assert client.get("/flags").status_code == 303


def test_scripts_log_in_with_json(browser: OpenBrowser, inspector: str) -> None:
    client = browser()
    wrong = client.post("/api/v1/session", json={"user": inspector, "password": "sai"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "error.login_failed")
    who = client.post("/api/v1/session", json={"user": inspector, "password": PASSWORD})
    assert who.status_code == 201
    assert client.get("/api/v1/session").json() == who.json()
    assert who.json()["role"] == "inspector"
    client.headers[CSRF_HEADER] = who.json()["csrf_token"]
    assert client.ask("DELETE", "/api/v1/session").status_code == 204
    assert client.get("/api/v1/session").status_code == 401


def test_accounts_are_checked_before_they_are_made(context: ServerContext, inspector: str) -> None:
    def create(user: str = "moi", password: str = PASSWORD, unit: str = "district") -> None:
        accounts.create_user(
            context, user_id=user, password=password, role=Role.OPERATOR, unit_id=unit
        )

    with pytest.raises(InvalidError):
        create(user=inspector)
    for wrong in ({"user": "Có Dấu"}, {"password": "ngắn"}, {"unit": "nowhere"}):
        with pytest.raises(InvalidError):
            create(**wrong)
