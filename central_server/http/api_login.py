"""Log-in for scripts: the same cookie session as the pages'."""

from fastapi import APIRouter, Depends, Request, Response

from central_server.domain.errors import InvalidError
from central_server.domain.second_factors import Stage
from central_server.http.api_models import CredentialsIn, WhoOut
from central_server.http.cookies import drop_cookie
from central_server.http.dependencies import (
    COOKIE,
    GUARDED,
    Context,
    CurrentVisit,
    login_token,
    require_same_origin,
)
from central_server.http.error_pages import PROBLEMS
from central_server.http.login import set_login_cookie
from central_server.services import logins

router = APIRouter(prefix="/session", tags=["session"], responses=PROBLEMS)


@router.get("", operation_id="getSession")
def who(visit: CurrentVisit) -> WhoOut:
    """Who is logged in."""
    return WhoOut(
        user=visit.viewer.user_id,
        role=visit.viewer.role,
        unit_id=visit.viewer.unit_id,
        csrf_token=visit.csrf_token,
    )


@router.post("", operation_id="logIn", status_code=201, dependencies=[Depends(require_same_origin)])
def log_in(
    request: Request, response: Response, context: Context, credentials: CredentialsIn
) -> WhoOut:
    """Logs in and sets the session's cookie; 422 if name, password and code do not fit."""
    login = logins.log_in(
        context, credentials.user, credentials.password, login_token(request) or None
    )
    if login.stage is Stage.CODE:
        login = logins.give_code(context, login.token, credentials.code)
    elif login.stage is Stage.ENROLMENT:
        raise InvalidError("error.second_factor_missing")
    set_login_cookie(request, response, login.token)
    return WhoOut(
        user=login.viewer.user_id,
        role=login.viewer.role,
        unit_id=login.viewer.unit_id,
        csrf_token=login.csrf_token,
    )


@router.delete("", operation_id="logOut", status_code=204, dependencies=GUARDED)
def log_out(request: Request, response: Response, context: Context) -> None:
    """Ends the session."""
    logins.log_out(context, login_token(request))
    drop_cookie(request, response, COOKIE)
