"""In which language a page speaks: `?lang=` on any address, remembered in a cookie."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Depends, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from central_server.http.cookies import is_secure, name_of, read_cookie
from web.pages import LANGUAGES, choose_language

LANGUAGE_COOKIE = "onestop_language"
_FOR_A_YEAR = f"Path=/; Max-Age={365 * 24 * 3600}; SameSite=Lax; HttpOnly"


def page_language(request: Request) -> str:
    """Asked for by link, else remembered from one, else Vietnamese."""
    asked = request.query_params.get("lang") or read_cookie(request, LANGUAGE_COOKIE)
    return choose_language(asked)


Language = Annotated[str, Depends(page_language)]


def address_in(asked: Iterable[tuple[str, str]], language: str, *, path: str = "") -> str:
    """The address by which a page, with the same filters, speaks that language; this one's own
    unless `path` names another.
    """
    kept = [(name, value) for name, value in asked if name != "lang"]
    return f"{path}?" + urlencode([*kept, ("lang", language)])


def addresses_of(request: Request) -> Callable[[str], str]:
    """`address_in` for the page that answers this request.

    What answers a form can't be asked for again by a link: it leads to the page where the form
    stood, or to the first one.
    """
    if request.method in ("GET", "HEAD"):
        return partial(address_in, request.query_params.multi_items())
    before = urlsplit(request.headers.get("referer", ""))
    if before.netloc != request.headers.get("host") or not before.path.startswith("/"):
        return partial(address_in, (), path="/")
    return partial(address_in, parse_qsl(before.query), path=before.path)


class RememberLanguage:
    """Plain ASGI: a link with `?lang=` speaks for the pages that follow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Adds the cookie to the answer; only a language that we speak is ever written."""
        request = Request(scope) if scope["type"] == "http" else None
        asked = None if request is None else request.query_params.get("lang")
        if request is None or asked not in LANGUAGES:
            await self._app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{name_of(request, LANGUAGE_COOKIE)}={asked}; {_FOR_A_YEAR}"
                secure = "; Secure" if is_secure(request) else ""
                MutableHeaders(scope=message).append("Set-Cookie", cookie + secure)
            await send(message)

        await self._app(scope, receive, send_with_cookie)
