"""A citizen's phone: opens pages, reads the forms on them, taps; nothing but HTTP."""

import asyncio
import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlencode

import httpx
from fastapi import FastAPI
from sqlmodel import select

from central_server.domain.feedback import fold_versions
from central_server.domain.server_log import FeedbackCompleted, FeedbackReceived, LoggedEntry
from central_server.services.context import ServerContext
from central_server.storage import server_log
from central_server.storage.tables import FeedbackRow
from event_protocol.feedback import FeedbackContent
from event_protocol.sealing import unseal

TOKEN_KEY = bytes(range(32))  # signs the codes on the desks' screens
Fields = Mapping[str, str | list[str]]


class _Forms(HTMLParser):
    """The hidden fields of each form of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({})
        if tag == "input" and given.get("type") == "hidden":
            self.forms[-1][given["name"]] = given["value"]


class Citizen:
    """Keeps no cookie; an answer that sets one fails the test."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str) -> httpx.Response:
        """A page."""
        return self._ask("GET", path)

    def post(self, path: str, fields: Fields) -> httpx.Response:
        """A form as a browser sends it."""
        return self.post_bytes(path, urlencode(fields, doseq=True).encode())

    def post_bytes(
        self, path: str, body: bytes, kind: str = "application/x-www-form-urlencoded"
    ) -> httpx.Response:
        """A form's bytes as they are."""
        return self._ask("POST", path, content=body, headers={"content-type": kind})

    def tap(self, rating: int, path: str = "/r/desk-1") -> httpx.Response:
        """Opens the page and touches a face."""
        page = self.get(path)
        assert page.status_code == 200, page.text
        return self.post(path.split("?")[0], {**hidden(page), "rating": str(rating)})

    def add(self, thanks: httpx.Response, fields: Fields) -> httpx.Response:
        """Fills in the form on the thank-you page."""
        return self.post("/r", {**hidden(thanks), **fields})

    def _ask(self, method: str, path: str, **more: object) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://public") as client:
                return await client.request(method, path, **more)  # type: ignore[arg-type]  # passed on

        answer = asyncio.run(ask())
        assert "set-cookie" not in answer.headers
        return answer


def hidden(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the page's own form: the last that has some, behind the switches'."""
    parser = _Forms()
    parser.feed(page.text)
    return next(form for form in reversed(parser.forms) if form)


def words_of(page: httpx.Response) -> str:
    """What people read on a page."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


def code_on(page: httpx.Response) -> str | None:
    """The receipt code that the page shows."""
    found = re.search(r'<output id="code">([A-Z2-7-]+)</output>', page.text)
    return None if found is None else found[1]


def feedback_rows(context: ServerContext) -> list[FeedbackRow]:
    """All feedback that was filed."""
    with context.database.transaction() as db:
        return list(db.exec(select(FeedbackRow)))


def entries(context: ServerContext) -> list[LoggedEntry]:
    """What the server's log holds of feedback."""
    with context.database.reading() as db:
        return [
            logged
            for logged in server_log.read_after(db, 0)
            if isinstance(logged.entry, FeedbackReceived | FeedbackCompleted)
        ]


def content(context: ServerContext) -> FeedbackContent:
    """What the log says of the only feedback, opened."""
    versions = []
    for logged in entries(context):
        assert isinstance(logged.entry, FeedbackReceived | FeedbackCompleted)
        assert logged.sealed is not None
        versions.append(unseal(logged.sealed, logged.entry.digest, context.keys.sealing))
    return fold_versions(versions).content
