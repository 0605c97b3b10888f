"""Pages of the agent: one way to render, the headers each answer carries, a limit on what comes."""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.pages import choose_language, render

MAX_BODY_BYTES = 256 * 1024  # the longest honest comment, each sign escaped, is under 40 KB
READ_AT_MOST_BYTES = 16 * 1024 * 1024  # beyond this nobody waits for an answer

# Everything comes from this box, nothing is inline, nobody may frame a page.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    # "no-referrer" would make browsers send the wizard's own forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """One page in the language that the link asked for; never kept by the browser."""
    language = language_of(request)
    other = "en" if language == "vi" else "vi"
    html = render(
        template,
        language,
        other_language=other,
        other_url=str(request.url.include_query_params(lang=other).replace(scheme="", netloc="")),
        **values,
    )
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


def language_of(request: Request) -> str:
    """Vietnamese unless the address asks for English: a shared tablet has no preference."""
    return choose_language(request.query_params.get("lang"))


async def add_headers(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Every answer carries the security headers."""
    answer = await call_next(request)
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


class BodyLimit:
    """Answers a body larger than any honest form with a page, and never holds it in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the whole body on, or answer 413; whether a length was announced does not matter."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, size, is_whole = bytearray(), 0, False
        # What is too large is still read, or the browser would not show our answer to it.
        while not is_whole and size <= READ_AT_MOST_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            part: bytes = message.get("body", b"")
            size += len(part)
            if size <= MAX_BODY_BYTES:
                body += part
            is_whole = not message.get("more_body", False)
        if size <= MAX_BODY_BYTES:
            await self._app(scope, _replay(bytes(body), receive), send)
            return
        request = Request(scope)
        back = request.url.path.removesuffix("/amend")
        answer = page(request, "kiosk/too_large.html", status=413, back=back)
        await answer(scope, receive, send)


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def receive_again() -> Message:
        if not waiting:
            return await receive()
        return {"type": "http.request", "body": waiting.pop(), "more_body": False}

    return receive_again
