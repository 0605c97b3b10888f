"""What routes ask for: who is asking, in which language, what they may see, and proof of intent.

A visit opens no transaction of its own for the route: each route says when it reads or writes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse

from central_server.domain.errors import (
    ForgedRequestError,
    NotAllowedError,
    NotFoundError,
    NotLoggedInError,
)
from central_server.domain.permissions import (
    FlagScope,
    Permission,
    UnitId,
    UnitScope,
    Viewer,
    flag_scope_of,
    scope_of,
)
from central_server.domain.second_factors import Stage
from central_server.http.cookies import read_cookie
from central_server.http.language import Language, addresses_of
from central_server.http.navigation import nav_of, place_of
from central_server.services import logins
from central_server.services.context import ServerContext
from central_server.storage import unit_lists
from web.pages import render, translate

COOKIE = "onestop_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"
# Sent with what an open page asks by itself: nobody's activity, so that the log-in goes idle.
LISTENING_HEADER = "X-Listening"
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def server_context(request: Request) -> ServerContext:
    """The parts that main.py built."""
    context: ServerContext = request.app.state.context
    return context


Context = Annotated[ServerContext, Depends(server_context)]


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody logged in."""

    context: ServerContext
    viewer: Viewer
    csrf_token: str
    parents: Mapping[UnitId, UnitId | None]  # the tree of units
    language: str
    path: str
    address_in: Callable[[str], str]  # where this page speaks that language

    def scope(self, permission: Permission) -> UnitScope:
        """The units for which the viewer holds it; without it there is nothing to be found."""
        try:
            return scope_of(self.viewer, permission, self.parents)
        except NotAllowedError:
            raise NotFoundError() from None

    def flag_scope(self) -> FlagScope:
        """The flags that the viewer may see."""
        try:
            return flag_scope_of(self.viewer, self.parents)
        except NotAllowedError:
            raise NotFoundError() from None

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A page with the navigation that this viewer may see."""
        html = render(
            template,
            self.language,
            viewer=self.viewer,
            may=self.viewer.may,
            csrf_token=self.csrf_token,
            nav=nav_of(self.viewer),
            here=place_of(self.path),
            address_in=self.address_in,
            now=self.context.now(),
            named=self._named,
            **values,
        )
        return HTMLResponse(html, status_code=status)

    def _named(self, prefix: str, codes: Iterable[str], suffix: str = "") -> list[tuple[str, str]]:
        """Codes with their words, for a list to choose from."""
        return [(code, translate(self.language, f"{prefix}{code}{suffix}")) for code in codes]


def login_token(request: Request) -> str:
    """The session's token that the browser sent; empty if none."""
    return read_cookie(request, COOKIE) or ""


def open_visit(request: Request, context: Context, language: Language) -> Visit:
    """The visit of whoever the cookie belongs to; `NotLoggedInError` if it opens nothing."""
    token = read_cookie(request, COOKIE)
    is_use = LISTENING_HEADER not in request.headers
    login = None if token is None else logins.find_login(context, token, is_use=is_use)
    if login is None or login.stage is not Stage.COMPLETE:
        raise NotLoggedInError(is_half_way=login is not None)
    request.state.user = login.viewer.user_id  # for the log, should this be refused
    with context.database.reading() as db:
        parents = unit_lists.parents(db)
    return Visit(
        context,
        login.viewer,
        login.csrf_token,
        parents,
        language,
        request.url.path,
        addresses_of(request),
    )


CurrentVisit = Annotated[Visit, Depends(open_visit)]


def require_same_origin(request: Request) -> None:
    """Refuses a change asked for by another site's page; programs send neither header."""
    if request.method in _SAFE_METHODS:
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForgedRequestError()
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForgedRequestError()


async def require_csrf_token(request: Request, visit: CurrentVisit) -> None:
    """A change carries the session's token: in the form's field, or in the header from scripts."""
    if request.method not in _SAFE_METHODS:
        await require_token(request, visit.csrf_token)


async def require_token(request: Request, csrf_token: str) -> None:
    """Refuses a change that does not carry that token."""
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and "form" in request.headers.get("content-type", ""):
        field = (await request.form()).get(CSRF_FIELD)
        sent = field if isinstance(field, str) else None
    if sent is None or not compare_digest(sent.encode(), csrf_token.encode()):
        raise ForgedRequestError()


# What every router of logged-in people carries.
GUARDED = [Depends(require_same_origin), Depends(require_csrf_token)]
