"""The second step of a log-in: codes, recovery codes, setting up, and what each step leaves."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pyotp
import pytest
from pwdlib import PasswordHash
from sqlalchemy import event
from sqlmodel import select

from central_server.domain.permissions import Role
from central_server.domain.second_factors import STEP_S
from central_server.http.dependencies import COOKIE
from central_server.services import accounts, key_rotation, rule_sets
from central_server.services.context import ServerContext
from central_server.storage.account_tables import AttemptsRow, LoginRow, SecondFactorRow, UserRow
from central_server.storage.tables import ServerLogRow
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import Clock, make_context
from tests.central_server.http.internal.browser import Browser
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.factories import NOW, add_province

PASSWORD = "một mật khẩu đủ dài"
INSPECTOR, OFFICER = "thanh-tra", "can-bo"
SECRET = re.compile(r'<code class="long">([A-Z2-7]+)</code>')
RECOVERY_CODE = re.compile(r"<code>([A-Z2-7-]{29})</code>")


@pytest.fixture(scope="module")
def password_hash() -> str:
    """Made once: it is slow on purpose."""
    return PasswordHash.recommended().hash(PASSWORD)


@pytest.fixture
def context(database: Database, tmp_path: Path, password_hash: str) -> ServerContext:
    """Inspectors need a second factor, officers may have one."""
    with database.transaction() as db:
        add_province(db)
        for name, role in ((INSPECTOR, Role.INSPECTOR), (OFFICER, Role.UNIT_OFFICER)):
            row = UserRow(
                user_id=name,
                password_hash=password_hash,
                role=role.value,
                unit_id="district",
                created_at=NOW,
            )
            db.add(row)
    web = {"second_factor_roles": (Role.INSPECTOR,)}
    made = make_context(database, tmp_path, Clock(NOW), web=web)
    rule_sets.activate(made)
    return made


def advance(context: ServerContext, seconds: float = STEP_S) -> None:
    assert isinstance(context.now, Clock)
    context.now.advance(seconds)


def code_of(context: ServerContext, secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(context.now().timestamp()) + steps * STEP_S)


def hidden(page: httpx.Response) -> dict[str, str]:
    found = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    return {name: unescape(value) for name, value in found}


def password_step(client: Browser, user: str = INSPECTOR, password: str = PASSWORD) -> str:
    answer = client.post("/login", {"user": user, "password": password, "next": "/flags?rule=x"})
    return str(answer.headers.get("location", answer.status_code))


def type_code(client: Browser, code: str) -> httpx.Response:
    page = client.get("/login/second?next=/flags")
    return client.post("/login/second", {**hidden(page), "code": code})


def enrol(client: Browser, context: ServerContext) -> tuple[str, list[str]]:
    """Sets an authenticator up in the course of a log-in; its secret and the recovery codes."""
    assert password_step(client).startswith("/login/second")
    page = client.get("/login/second")
    (secret,) = SECRET.findall(page.text)
    done = client.post("/login/second", {**hidden(page), "code": code_of(context, secret)})
    assert done.status_code == 200, done.text
    return secret, RECOVERY_CODE.findall(done.text)


def test_who_needs_a_second_factor_sets_one_up_before_anything_opens(
    browser: OpenBrowser, context: ServerContext
) -> None:
    client = browser()
    assert password_step(client) == "/login/second?next=%2Fflags%3Frule%3Dx"
    for path in ("/flags", "/account", "/account/second-factor"):
        assert client.get(path).headers["location"].startswith("/login/second"), path
    assert client.get("/api/v1/session").status_code == 401
    before = client.cookies[COOKIE]
    _, codes = enrol(client, context)
    assert len(set(codes)) == 8
    assert client.cookies[COOKIE] != before
    assert client.get("/flags").status_code == 200


def test_a_mistyped_first_code_offers_the_same_secret_again(
    browser: OpenBrowser, context: ServerContext
) -> None:
    client = browser()
    password_step(client)
    page = client.get("/login/second")
    again = client.post("/login/second", {**hidden(page), "code": "000000"})
    assert again.status_code == 422
    assert SECRET.findall(again.text) == SECRET.findall(page.text)
    with context.database.reading() as db:
        assert db.exec(select(SecondFactorRow)).all() == []


def test_the_code_is_asked_for_and_counts_once(
    browser: OpenBrowser, context: ServerContext
) -> None:
    secret, _ = enrol(browser(), context)
    client, other = browser(), browser()
    password_step(client)
    password_step(other)
    assert type_code(client, code_of(context, secret)).status_code == 422, "it was used to set up"
    advance(context)
    code = code_of(context, secret)
    answer = type_code(client, code)
    assert (answer.status_code, answer.headers["location"]) == (303, "/flags")
    assert client.get("/flags").status_code == 200
    assert type_code(other, code).status_code == 422, "seen over a shoulder"
    assert type_code(other, code_of(context, secret, steps=2)).status_code == 422
    assert type_code(other, code_of(context, secret, steps=1)).status_code == 303


def test_each_step_has_a_cookie_of_its_own(browser: OpenBrowser, context: ServerContext) -> None:
    secret, _ = enrol(browser(), context)
    client = browser()
    password_step(client)
    half_way = client.cookies[COOKIE]
    advance(context)
    type_code(client, code_of(context, secret))
    client.cookies.clear()
    client.cookies.set(COOKIE, half_way)
    assert client.get("/flags").headers["location"].startswith("/login?")


def test_a_recovery_code_stands_in_once(browser: OpenBrowser, context: ServerContext) -> None:
    _, codes = enrol(browser(), context)
    for code, status in ((codes[0].lower(), 303), (codes[0], 422), (codes[1], 303)):
        client = browser()
        password_step(client)
        assert type_code(client, code).status_code == status
    assert "Còn 6 mã dự phòng" in client.get("/account").text
    with context.database.reading() as db:
        bodies = [bytes(row.body) for row in db.exec(select(ServerLogRow))]
    assert sum(b"user.recovery_code_used" in body for body in bodies) == 2


def test_wrong_codes_lock_as_wrong_passwords_do(
    browser: OpenBrowser, context: ServerContext
) -> None:
    secret, codes = enrol(browser(), context)
    advance(context)
    client = browser()
    password_step(client)
    for _ in range(4):
        assert type_code(client, "000000").status_code == 422
    assert type_code(client, code_of(context, secret)).status_code == 422, "locked"
    assert type_code(client, codes[0]).status_code == 422
    advance(context, 31)
    password_step(client)
    assert type_code(client, codes[0]).status_code == 422, "the right password opens nothing more"
    advance(context, 61)
    assert type_code(client, code_of(context, secret)).status_code == 303


def test_a_half_way_log_in_ends_by_itself(browser: OpenBrowser, context: ServerContext) -> None:
    client = browser()
    password_step(client)
    advance(context, 29 * 60)
    assert client.get("/login/second").status_code == 200
    advance(context, 2 * 60)
    assert client.get("/login/second").headers["location"].startswith("/login?")


def test_who_knows_the_password_alone_replaces_nothing(
    browser: OpenBrowser, context: ServerContext
) -> None:
    thief = browser()
    password_step(thief)
    page = thief.get("/login/second")
    secret, _ = enrol(browser(), context)
    advance(context)
    (own,) = SECRET.findall(page.text)
    answer = thief.post("/login/second", {**hidden(page), "code": code_of(context, own)})
    assert answer.status_code == 303
    assert thief.get("/flags").status_code == 303
    with context.database.reading() as db:
        assert len(db.exec(select(SecondFactorRow)).all()) == 1
    client = browser()
    password_step(client)
    assert type_code(client, code_of(context, secret)).status_code == 303


def test_the_second_step_needs_its_own_token(browser: OpenBrowser) -> None:
    client = browser()
    password_step(client)
    fields = hidden(client.get("/login/second"))
    del fields["csrf_token"]
    assert client.post("/login/second", {**fields, "code": "123456"}).status_code == 403


def test_scripts_send_the_code_with_the_password(
    browser: OpenBrowser, context: ServerContext
) -> None:
    client, credentials = browser(), {"user": INSPECTOR, "password": PASSWORD}
    missing = client.post("/api/v1/session", json=credentials)
    assert (missing.status_code, missing.json()["code"]) == (422, "error.second_factor_missing")
    secret, _ = enrol(browser(), context)
    advance(context)
    without = client.post("/api/v1/session", json=credentials)
    assert (without.status_code, without.json()["code"]) == (422, "error.code_wrong")
    assert client.get("/api/v1/session").status_code == 401
    credentials["code"] = code_of(context, secret)
    assert client.post("/api/v1/session", json=credentials).status_code == 201
    assert client.get("/api/v1/session").json()["role"] == "inspector"


def test_nothing_that_logs_in_is_stored_as_it_is(
    browser: OpenBrowser, context: ServerContext
) -> None:
    client = browser()
    secret, codes = enrol(client, context)
    file = Path(str(context.database.engine.url.database))
    context.database.close()
    stored = b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
    for word in (secret, *codes, client.cookies[COOKIE], PASSWORD):
        assert word.encode() not in stored
        assert word.replace("-", "").encode() not in stored


def test_an_unknown_name_costs_what_a_known_one_does(
    browser: OpenBrowser, context: ServerContext
) -> None:
    commits: list[str] = []
    event.listen(context.database.engine, "commit", lambda _: commits.append("commit"))

    def cost(user: str) -> tuple[str, int]:
        commits.clear()
        return password_step(browser(), user, "sai"), len(commits)

    assert cost(INSPECTOR) == cost("khong-ai") == cost("Không hợp lệ\0") == ("422", 1)
    for _ in range(6):
        password_step(browser(), INSPECTOR, "sai")
    assert cost(INSPECTOR) == cost("khong-ai"), "locked"
    with context.database.reading() as db:
        assert {row.user_id for row in db.exec(select(AttemptsRow))} == {"", INSPECTOR}


def test_keys_that_rotate_leave_authenticators_alone(
    browser: OpenBrowser, context: ServerContext
) -> None:
    secret, _ = enrol(browser(), context)
    for _ in range(2):
        key_rotation.rotate(context, by="admin")
        advance(context, (key_rotation.UNDER_WAY + timedelta(days=1)).total_seconds())
        key_rotation.retire(context, by="admin")
        client = browser()
        password_step(client)
        assert type_code(client, code_of(context, secret)).status_code == 303
    assert len(context.keys.sealing) == 2, "sealed anew at each log-in: the first key is gone"


def test_a_new_password_leaves_the_second_factor_and_a_dropped_one_is_on_record(
    browser: OpenBrowser, context: ServerContext
) -> None:
    secret, _ = enrol(browser(), context)
    new = "mật khẩu mới khác hẳn"
    accounts.change_user(context, INSPECTOR, password=new)
    advance(context)
    client = browser()
    assert password_step(client, password=new).startswith("/login/second")
    assert not SECRET.findall(client.get("/login/second").text), "asked for, not offered anew"
    assert type_code(client, code_of(context, secret)).status_code == 303
    accounts.change_user(context, INSPECTOR, drop_second_factor=True, by="quan-tri")
    client = browser()
    password_step(client, password=new)
    assert SECRET.findall(client.get("/login/second").text), "to be set up again"
    with context.database.reading() as db:
        bodies = [bytes(row.body) for row in db.exec(select(ServerLogRow))]
    dropped = [body for body in bodies if b"user.second_factor_dropped" in body]
    assert [b"quan-tri" in body for body in dropped] == [True]


# --- one's own account ------------------------------------------------------------------------


def test_sessions_are_listed_and_ended(browser: OpenBrowser, context: ServerContext) -> None:
    here, there, stranger = browser(), browser(), browser(Role.OPERATOR)
    for client in (here, there):
        assert password_step(client, OFFICER).startswith("/flags")
        advance(context, 60)
    page = here.get("/account")
    ends = re.findall(r'action="(/account/sessions/\w{64}/end)"', page.text)
    assert len(ends) == 2
    token = hidden(page)["csrf_token"]
    for end in ends:
        theirs = hidden(stranger.get("/account"))["csrf_token"]
        assert stranger.post(end, {"csrf_token": theirs}).status_code == 404, "not one's own"
    here.post("/account/sessions/end-others", {"csrf_token": token})
    assert there.get("/flags").status_code == 303
    assert here.get("/account").status_code == 200
    (end,) = re.findall(r'action="(/account/sessions/\w{64}/end)"', here.get("/account").text)
    here.post(end, {"csrf_token": token})
    assert here.get("/account").headers["location"].startswith("/login")


def test_a_new_password_ends_all_other_sessions(
    browser: OpenBrowser, context: ServerContext
) -> None:
    here, there = browser(), browser()
    password_step(here, OFFICER)
    password_step(there, OFFICER)
    token = hidden(here.get("/account"))["csrf_token"]

    def change(current: str, new: str) -> httpx.Response:
        form = {"csrf_token": token, "current": current, "new": new}
        return here.post("/account/password", form)

    assert change("sai", "mật khẩu mới khác hẳn").status_code == 422
    assert change(PASSWORD, "ngắn").status_code == 422
    before = here.cookies[COOKIE]
    assert (
        change(PASSWORD, "mật khẩu mới khác hẳn").headers["location"] == "/account?saved=password"
    )
    assert here.cookies[COOKIE] != before
    assert here.get("/account").status_code == 200
    assert there.get("/account").status_code == 303
    assert password_step(browser(), OFFICER) == "422"
    assert password_step(browser(), OFFICER, "mật khẩu mới khác hẳn").startswith("/flags")


def test_a_new_authenticator_needs_the_password(
    browser: OpenBrowser, context: ServerContext
) -> None:
    client, other = browser(), browser()
    password_step(client, OFFICER)
    password_step(other, OFFICER)
    page = client.get("/account/second-factor")
    (secret,) = SECRET.findall(page.text)
    form = {**hidden(page), "code": code_of(context, secret)}
    refused = client.post("/account/second-factor", {**form, "password": "sai"})
    assert refused.status_code == 422
    done = client.post("/account/second-factor", {**form, "password": PASSWORD})
    assert len(RECOVERY_CODE.findall(done.text)) == 8
    assert other.get("/account").status_code == 303, "other sessions have ended"
    assert "Còn 8 mã dự phòng" in client.get("/account").text
    assert password_step(browser(), OFFICER).startswith("/login/second")


def test_a_log_in_ends_after_its_life_however_busy(
    browser: OpenBrowser, context: ServerContext
) -> None:
    client = browser()
    password_step(client, OFFICER)
    for _ in range(12 * 3):
        advance(context, 20 * 60)
        assert client.get("/flags").status_code == 200
    advance(context, 61)
    assert client.get("/flags").status_code == 303


@pytest.mark.parametrize(
    "change",
    [
        {"role": Role.INSPECTOR},
        {"unit_id": "commune-a"},
        {"is_disabled": True},
        {"password": "mật khẩu mới khác hẳn"},
        {"drop_second_factor": True},
    ],
)
def test_whoever_is_changed_logs_in_anew(
    browser: OpenBrowser, context: ServerContext, change: dict[str, object]
) -> None:
    client = browser()
    password_step(client, OFFICER)
    accounts.change_user(context, OFFICER, **change)  # type: ignore[arg-type]  # one at a time
    assert client.get("/account").status_code == 303
    with context.database.reading() as db:
        assert db.exec(select(LoginRow)).all() == []
