"""Pages of the agent: one way to render them, in the language of the link."""

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from web.pages import choose_language, render


def page(request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    """One page in the language that the link asked for."""
    language = language_of(request)
    other = "en" if language == "vi" else "vi"
    html = render(
        template,
        language,
        other_language=other,
        other_url=str(request.url.include_query_params(lang=other).replace(scheme="", netloc="")),
        **values,
    )
    return HTMLResponse(html, status)


def language_of(request: Request) -> str:
    """Vietnamese unless the address asks for English: a shared tablet has no preference."""
    return choose_language(request.query_params.get("lang"))


def refuse_large(request: Request) -> Response:
    """Says so, with the way back to the desk's faces."""
    back = request.url.path.removesuffix("/amend")
    return page(request, "kiosk/too_large.html", status=413, back=back)
