"""One's own account: password, authenticator, and where one is logged in."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from central_server.domain.errors import InvalidError
from central_server.http.dependencies import GUARDED, CurrentVisit, login_token
from central_server.http.login import set_login_cookie
from central_server.http.second_step import make_offer
from central_server.services import accounts, logins, second_factors
from web.pages import render

router = APIRouter(prefix="/account", include_in_schema=False, dependencies=GUARDED)
_SECOND_FACTOR = "/account/second-factor"


@router.get("")
def show(request: Request, visit: CurrentVisit, saved: str = "") -> HTMLResponse:
    """Who one is, and one's open sessions."""
    return _page(request, visit, saved=saved == "password")


@router.post("/password")
def change_password(
    request: Request,
    visit: CurrentVisit,
    current: Annotated[str, Form()] = "",
    new: Annotated[str, Form()] = "",
) -> Response:
    """A new password; ends every other session and changes this one's cookie."""
    token = login_token(request)
    try:
        login = logins.change_password(visit.context, visit.viewer, current, new, token)
    except InvalidError as error:
        return _page(request, visit, error=error, status=422)
    response = RedirectResponse("/account?saved=password", 303)
    set_login_cookie(request, response, login.token)
    return response


@router.get("/second-factor")
def offer_second_factor(visit: CurrentVisit) -> HTMLResponse:
    """A new authenticator's QR code."""
    return _offer_page(visit)


@router.post("/second-factor")
def set_second_factor(
    request: Request,
    visit: CurrentVisit,
    form: Annotated[str, Form()] = "",
    code: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    """In the place of a former one. Asks for the password: an open page is no proof of its user."""
    token = login_token(request)
    try:
        if accounts.authenticate(visit.context, visit.viewer.user_id, password) is None:
            raise InvalidError("error.password_wrong")
        login, recovery_codes = logins.set_second_factor(visit.context, token, form, code)
    except InvalidError as error:
        return _offer_page(visit, error=error.code, form=form, status=422)
    page = render(
        "account/recovery_codes.html", visit.language, codes=recovery_codes, next="/account"
    )
    response = HTMLResponse(page)
    set_login_cookie(request, response, login.token)
    return response


@router.post("/sessions/{login_id}/end")
def end_session(visit: CurrentVisit, login_id: str) -> Response:
    """Ends one of one's own sessions; ending this one leads to the log-in page."""
    logins.end_one(visit.context, visit.viewer, login_id)
    return RedirectResponse("/account", 303)


@router.post("/sessions/end-others")
def end_other_sessions(request: Request, visit: CurrentVisit) -> Response:
    """Ends all of one's sessions but this one."""
    logins.end_others(visit.context, visit.viewer, login_token(request))
    return RedirectResponse("/account", 303)


def _page(
    request: Request,
    visit: CurrentVisit,
    *,
    saved: bool = False,
    error: InvalidError | None = None,
    status: int = 200,
) -> HTMLResponse:
    with visit.context.database.reading() as db:
        second_factor = second_factors.find(db, visit.viewer.user_id)
    token = login_token(request)
    return visit.page(
        "account/detail.html",
        status=status,
        second_factor=second_factor,
        logins=logins.list_open(visit.context, visit.viewer, token),
        life_hours=visit.context.settings.web.session_life_hours,
        idle_minutes=visit.context.settings.web.session_idle_minutes,
        saved=saved,
        error=error,
    )


def _offer_page(
    visit: CurrentVisit, *, error: str | None = None, form: str = "", status: int = 200
) -> HTMLResponse:
    offered = make_offer(visit.context, visit.language, visit.viewer.user_id, form)
    return visit.page("account/second_factor.html", status=status, error=error, **offered)
