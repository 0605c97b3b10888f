"""Log-in by an OpenID Connect provider: there, and back."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from central_server.domain.errors import InvalidError
from central_server.http.cookies import drop_cookie, put_cookie, read_cookie
from central_server.http.dependencies import Context, login_token
from central_server.http.language import Language
from central_server.http.login import lead_on, login_form, own_path
from central_server.services import oidc
from central_server.services.oidc import Answer

router = APIRouter(prefix="/login/oidc", include_in_schema=False)
_COOKIE = "onestop_oidc"
_LONGEST = 2000  # of what a provider sends back


@router.get("")
def go_to_provider(
    request: Request, context: Context, language: Language, next: str = "/"
) -> Response:
    """Sends the browser to the provider's log-in page."""
    try:
        address, attempt = oidc.begin(context, own_path(next))
    except InvalidError as error:
        return login_form(request, context, language, next, error=error.code, status=503)
    response = RedirectResponse(address, 303)
    put_cookie(request, response, _COOKIE, attempt, life=oidc.ATTEMPT_LIFE, path=router.prefix)
    return response


@router.get("/callback")
def come_back(
    request: Request,
    context: Context,
    language: Language,
    state: Annotated[str, Query(max_length=_LONGEST)] = "",
    code: Annotated[str, Query(max_length=_LONGEST)] = "",
    iss: Annotated[str | None, Query(max_length=_LONGEST)] = None,
) -> Response:
    """Opens a session for whom the provider named, or shows the log-in page with the reason."""
    try:
        attempt = read_cookie(request, _COOKIE, router.prefix) or ""
        former = login_token(request) or None
        login, next = oidc.finish(context, attempt, Answer(state, code, iss), former)
        response = lead_on(request, login, next)
    except InvalidError as error:
        response = login_form(request, context, language, "/", error=error.code, status=422)
    drop_cookie(request, response, _COOKIE, router.prefix)
    return response
