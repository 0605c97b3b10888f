"""How citizens' pages are made: language and size by link, never by cookie; nothing is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from central_server.domain.surveys import Survey, edition_on
from central_server.http.throttle import Throttle
from central_server.services.context import ServerContext
from web.pages import LOCAL_TIME, choose_language, render

_HEADERS = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class PublicParts:
    """What the citizens' pages are built of; made once, shared by all requests."""

    context: ServerContext
    surveys: Sequence[Survey]
    # A desk serves one citizen in some minutes, but a whole waiting room may rate at once.
    taps: Throttle = field(default_factory=lambda: Throttle(burst=60, per_minute=30))
    # By the hint of a code that may exist, each costs two slow hashes; who asks for one receipt
    # again and again, or guesses, shuts nobody else out.
    look_ups: Throttle = field(default_factory=lambda: Throttle(burst=20, per_minute=6))


@dataclass(frozen=True, slots=True)
class PublicPage:
    """One request by a citizen: who it is, the page does not ask."""

    parts: PublicParts
    path: str
    language: str
    is_large: bool
    asked: tuple[tuple[str, str], ...]  # the address's own parameters, kept by the switches

    @property
    def context(self) -> ServerContext:
        """The server's own parts."""
        return self.parts.context

    @property
    def survey(self) -> Survey | None:
        """The edition of the survey that is asked today."""
        today = self.context.now().astimezone(LOCAL_TIME).date()
        return edition_on(self.parts.surveys, today)

    def show(self, template: str, status: int = 200, **values: object) -> HTMLResponse:
        """The page; `fields` are the posted ones, with which a switch or a retry posts again."""
        values.setdefault("fields", ())
        html = render(f"public/{template}.html", self.language, page=self, path=self.path, **values)
        return HTMLResponse(html, status, headers=_HEADERS)

    def say(self, code: str, status: int, **values: object) -> HTMLResponse:
        """One clear sentence, and the ways on."""
        return self.show("message", status, code=code, details=values)

    def address(self, path: str, **parameters: str) -> str:
        """A link that keeps the language and the size of the text."""
        return self._with(path, self.language, self.is_large, tuple(parameters.items()))

    @property
    def own_address(self) -> str:
        """Where this page's form posts to: with all that brought the citizen here."""
        return self._with(self.path, self.language, self.is_large, self.asked)

    @property
    def other_language(self) -> str:
        """This page in the other language."""
        other = "en" if self.language == "vi" else "vi"
        return self._with(self.path, other, self.is_large, self.asked)

    @property
    def other_size(self) -> str:
        """This page with large or usual text."""
        return self._with(self.path, self.language, not self.is_large, self.asked)

    @staticmethod
    def _with(
        path: str, language: str, is_large: bool, parameters: tuple[tuple[str, str], ...]
    ) -> str:
        switches = [("lang", "en")] if language == "en" else []
        switches += [("big", "1")] if is_large else []
        query = urlencode([*parameters, *switches])
        return f"{path}?{query}" if query else path


def open_page(request: Request) -> PublicPage:
    """Vietnamese unless the link says otherwise: the browser's own preference is not looked at."""
    asked = request.query_params
    return PublicPage(
        parts=request.app.state.parts,
        path=request.url.path,
        language=choose_language(asked.get("lang")),
        is_large=asked.get("big") == "1",
        asked=tuple((k, v) for k, v in asked.multi_items() if k not in ("lang", "big")),
    )


Page = Annotated[PublicPage, Depends(open_page)]


async def read_fields(request: Request) -> FormData:
    """What was posted, without files."""
    async with request.form() as posted:  # files that nobody asked for are closed behind it
        return FormData([(k, v) for k, v in posted.multi_items() if isinstance(v, str)])


Fields = Annotated[FormData, Depends(read_fields)]


def text_of(fields: FormData, name: str) -> str:
    """One field's text; empty if it was not sent."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def texts_of(fields: FormData, name: str) -> list[str]:
    """All texts sent under that name."""
    return [value for value in fields.getlist(name) if isinstance(value, str)]


def pairs_of(fields: FormData) -> tuple[tuple[str, str], ...]:
    """All that was sent, to be sent again."""
    return tuple((name, value) for name, value in fields.multi_items() if isinstance(value, str))
