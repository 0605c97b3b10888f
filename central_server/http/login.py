"""Log-in and log-out with a form, and the way to each role's first page."""

from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central_server.domain.errors import InvalidError
from central_server.domain.second_factors import Stage
from central_server.http.cookies import drop_cookie, is_secure, put_cookie
from central_server.http.dependencies import (
    COOKIE,
    GUARDED,
    Context,
    CurrentVisit,
    login_token,
    require_same_origin,
)
from central_server.http.language import Language, address_in
from central_server.http.navigation import HOME, SECOND_STEP
from central_server.services import logins
from central_server.services.logins import NewLogin
from web.pages import render

router = APIRouter(include_in_schema=False)


@router.get("/")
def home(visit: CurrentVisit) -> Response:
    """Each role starts at its own work."""
    return RedirectResponse(HOME[visit.viewer.role], 303)


@router.get("/login")
def show_login(
    request: Request, context: Context, language: Language, next: str = "/"
) -> HTMLResponse:
    """The form; `next` is where it leads."""
    return login_form(request, context, language, next)


@router.post("/login", dependencies=[Depends(require_same_origin)])
def log_in(
    request: Request,
    context: Context,
    language: Language,
    user: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Opens a session and leads on; a wrong password shows the form again."""
    try:
        login = logins.log_in(context, user, password, login_token(request) or None)
    except InvalidError as error:
        return login_form(request, context, language, next, user=user, error=error.code, status=422)
    return lead_on(request, login, next)


@router.post("/logout", dependencies=GUARDED)
def log_out(request: Request, context: Context) -> Response:
    """Ends the session on the server and in the browser."""
    logins.log_out(context, login_token(request))
    response = RedirectResponse("/login", 303)
    drop_cookie(request, response, COOKIE)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'  # nothing is left for who comes next
    return response


def lead_on(request: Request, login: NewLogin, next: str) -> Response:
    """To where one wanted to go, or to the step that is still missing."""
    target = own_path(next)
    if login.stage is not Stage.COMPLETE:
        target = f"{SECOND_STEP}?next={quote(target, safe='')}"
    response = RedirectResponse(target, 303)
    set_login_cookie(request, response, login.token)
    return response


def set_login_cookie(request: Request, response: Response, token: str) -> None:
    """For this browser session, out of reach of scripts."""
    put_cookie(request, response, COOKIE, token)


def login_form(
    request: Request,
    context: Context,
    language: str,
    next: str,
    *,
    user: str = "",
    error: str | None = None,
    status: int = 200,
) -> HTMLResponse:
    """Name and password, and the provider if there is one."""
    page = render(
        "login.html",
        language,
        next=own_path(next),
        address_in=partial(address_in, [("next", own_path(next))], path="/login"),
        user=user,
        error=error,
        provider=context.settings.oidc.name if context.settings.oidc else None,
        # A browser keeps no secure cookie that came over plain HTTP: logging in would not last.
        is_safe=request.url.scheme == "https" or not is_secure(request),
    )
    return HTMLResponse(page, status)


def own_path(target: str) -> str:
    """A path of this site, never another site's address (`//host`, `/\\host`, `https:`)."""
    is_own = target.startswith("/") and target[1:2] not in ("/", "\\")
    return target if is_own and target.isprintable() else "/"
