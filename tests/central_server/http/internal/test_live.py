"""Open pages follow: rows over a real connection, only what the viewer may see, until log-out."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI

from central_server.domain.permissions import Role
from central_server.http import live
from central_server.http.dependencies import COOKIE
from central_server.services import feed_places, logins
from central_server.services.context import ServerContext
from central_server.storage.account_tables import UserRow
from central_server.storage.tables import FlagFeedRow, FlagRow
from tests.central_server.http.internal.browser import Browser
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.central_server.http.served import serve
from tests.factories import NOW, make_flag, make_id

pytestmark = pytest.mark.processes


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    """The application on a free port of this machine."""
    with serve(app) as url:
        yield url


def change(context: ServerContext, *flags: FlagRow) -> None:
    """Writes the flags as the projector does, with a line in the feed for each."""
    with context.database.transaction() as db:
        for flag in flags:
            db.merge(flag)
            db.add(FlagFeedRow(flag_id=flag.flag_id, at=NOW))


@contextmanager
def following(address: str, browser: Browser, query: str = "") -> Iterator[Iterator[list[str]]]:
    """The stream's messages, each a list of lines."""
    cookies = {COOKIE: browser.cookies[COOKIE]}
    with httpx.stream(
        "GET", f"{address}/flags/stream?{query}", cookies=cookies, timeout=15
    ) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        yield _messages(stream)


def _messages(stream: httpx.Response) -> Iterator[list[str]]:
    lines: list[str] = []
    for line in stream.iter_lines():
        if line:
            lines.append(line)
        elif lines:
            yield lines
            lines = []


def next_change(messages: Iterator[list[str]]) -> list[str]:
    """The next message that says something of a flag."""
    return next(m for m in messages if any(x in m for x in ("event: flag", "event: gone")))


def test_a_new_flag_arrives_as_a_row(
    address: str, browser: OpenBrowser, context: ServerContext
) -> None:
    with following(address, browser(Role.INSPECTOR)) as messages:
        next(messages)
        change(context, make_flag("commune-a", "new", "officer_absent"))
        row = "\n".join(next_change(messages))
    assert f'id="flag-{make_id("new")}"' in row
    assert "Cán bộ vắng khi có người dân" in row
    assert 'name="csrf_token"' in row


def test_only_what_one_may_see_arrives(
    address: str, browser: OpenBrowser, context: ServerContext
) -> None:
    with following(address, browser(Role.SUPERVISOR)) as messages:
        next(messages)
        change(
            context,
            make_flag("commune-c", "outside"),
            make_flag("commune-a", "secret", "complaint", severity="critical"),
            make_flag("commune-a", "seen"),
        )
        assert make_id("seen") in "\n".join(next_change(messages))


def test_what_the_filters_no_longer_hold_is_gone(
    address: str, browser: OpenBrowser, context: ServerContext
) -> None:
    with following(address, browser(Role.INSPECTOR), "state=open") as messages:
        next(messages)
        change(context, make_flag("commune-a", "wait-commune-a", state="dismissed"))
        assert f"data: {make_id('wait-commune-a')}" in next_change(messages)


def test_a_line_that_broke_goes_on_where_it_was(
    address: str, browser: OpenBrowser, context: ServerContext
) -> None:
    change(context, make_flag("commune-a", "first"), make_flag("commune-a", "second"))
    cookies = {COOKIE: browser(Role.INSPECTOR).cookies[COOKIE]}
    pepper = context.keys.pepper
    word = feed_places.write_place(1, pepper)
    with httpx.stream(
        "GET", f"{address}/flags/stream", cookies=cookies, headers={"last-event-id": word}
    ) as stream:
        message = next_change(_messages(stream))
    assert make_id("second") in "\n".join(message)
    assert feed_places.read_place(message[0].removeprefix("id: "), pepper) == 2


def test_where_a_page_stands_tells_nothing(browser: OpenBrowser, context: ServerContext) -> None:
    pepper = context.keys.pepper
    words = [feed_places.write_place(number, pepper) for number in (7, 8, 10**12)]
    assert len({word[:30] for word in words}) == 3
    assert len({len(word) for word in words}) == 1
    page = browser(Role.SUPERVISOR).get("/flags").text
    word = page.partition("after=")[2].partition('"')[0]
    assert feed_places.read_place(word, pepper) == 0
    for forged in ("7", "Ω", words[0][:-8] + words[1][-8:]):
        answer = browser(Role.SUPERVISOR).get("/flags/stream", params={"after": forged})
        assert answer.status_code == 422


def test_the_stream_ends_when_the_role_changes(
    address: str, browser: OpenBrowser, context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "POLL_S", 0.01)
    with following(address, browser(Role.INSPECTOR)) as messages:
        next(messages)
        with context.database.transaction() as db:
            db.get_one(UserRow, "inspector-district").role = Role.SUPERVISOR.value
        assert next(m for m in messages if "event: ended" in m)


def test_the_stream_ends_with_the_log_in(
    address: str,
    browser: OpenBrowser,
    context: ServerContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "POLL_S", 0.01)
    inspector = browser(Role.INSPECTOR)
    with following(address, inspector) as messages:
        next(messages)
        logins.log_out(context, inspector.cookies[COOKIE])
        assert next(m for m in messages if "event: ended" in m)
        assert next(messages, None) is None


@pytest.mark.parametrize("role", [Role.OPERATOR])
def test_who_may_see_no_flag_finds_no_stream(
    address: str, browser: OpenBrowser, role: Role
) -> None:
    cookies = {COOKIE: browser(role).cookies[COOKIE]}
    assert httpx.get(f"{address}/flags/stream", cookies=cookies).status_code == 404
