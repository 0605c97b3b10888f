"""Log-in and log-out with a form, and the way to each role's first page."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central_server.domain.errors import InvalidError
from central_server.http.dependencies import (
    COOKIE,
    GUARDED,
    Context,
    CurrentVisit,
    require_same_origin,
)
from central_server.http.language import Language, address_in
from central_server.http.navigation import HOME
from central_server.services import accounts
from event_protocol.enrolment import is_loopback
from web.pages import render

router = APIRouter(include_in_schema=False)


@router.get("/")
def home(visit: CurrentVisit) -> Response:
    """Each role starts at its own work."""
    return RedirectResponse(HOME[visit.viewer.role], 303)


@router.get("/login")
def show_login(request: Request, language: Language, next: str = "/") -> HTMLResponse:
    """The form; `next` is where it leads."""
    return _form(request, language, next)


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
        login = accounts.log_in(context, user, password, request.cookies.get(COOKIE))
    except InvalidError as error:
        return _form(request, language, next, user=user, error=error.code, status=422)
    response = RedirectResponse(own_path(next), 303)
    set_login_cookie(request, response, login.token)
    return response


@router.post("/logout", dependencies=GUARDED)
def log_out(request: Request, context: Context) -> Response:
    """Ends the session on the server and in the browser."""
    accounts.log_out(context, request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


def set_login_cookie(request: Request, response: Response, token: str) -> None:
    """For this browser session, out of reach of scripts."""
    response.set_cookie(COOKIE, token, httponly=True, samesite="lax", secure=_is_secure(request))


def _form(
    request: Request,
    language: str,
    next: str,
    *,
    user: str = "",
    error: str | None = None,
    status: int = 200,
) -> HTMLResponse:
    page = render(
        "login.html",
        language,
        next=own_path(next),
        address_in=partial(address_in, [("next", own_path(next))]),
        user=user,
        error=error,
        # A browser keeps no secure cookie that came over plain HTTP: logging in would not last.
        is_safe=request.url.scheme == "https" or not _is_secure(request),
    )
    return HTMLResponse(page, status)


def own_path(target: str) -> str:
    """A path of this site, never another site's address (`//host`, `/\\host`, `https:`)."""
    is_own = target.startswith("/") and target[1:2] not in ("/", "\\")
    return target if is_own and target.isprintable() else "/"


def _is_secure(request: Request) -> bool:
    """Cookies need TLS, but for a browser on the same machine (demo, pilot)."""
    return request.url.scheme == "https" or not is_loopback(request.url.hostname or "")
