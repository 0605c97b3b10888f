"""Pages of the agent: one way to render, the headers each answer carries, what is too large."""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from web.pages import choose_language, render

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


def refuse_large(request: Request) -> Response:
    """Says so, with the way back to the desk's faces."""
    back = request.url.path.removesuffix("/amend")
    return page(request, "kiosk/too_large.html", status=413, back=back)
