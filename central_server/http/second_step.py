"""The second step of a log-in: a code, or for who must have an authenticator, setting one up."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, Response

from central_server.domain.errors import InvalidError
from central_server.domain.second_factors import Stage
from central_server.http.dependencies import (
    Context,
    login_token,
    require_same_origin,
    require_token,
)
from central_server.http.language import Language, address_in
from central_server.http.login import lead_on, own_path, set_login_cookie
from central_server.http.navigation import SECOND_STEP
from central_server.services import logins, second_factors
from central_server.services.logins import Login
from central_server.services.second_factors import Offer
from web.pages import render, translate
from web.qr_pictures import qr_svg

router = APIRouter(prefix=SECOND_STEP, include_in_schema=False)


def _open_step(request: Request, context: Context) -> Login:
    """The log-in that waits for its second step; `NotLoggedInError` leads back to the first."""
    token = login_token(request)
    return logins.require_stage(context, token, Stage.CODE, Stage.ENROLMENT)


Step = Annotated[Login, Depends(_open_step)]


async def _require_csrf_token(request: Request, step: Step) -> None:
    await require_token(request, step.csrf_token)


@router.get("")
def show(context: Context, language: Language, step: Step, next: str = "/") -> HTMLResponse:
    """A field for the code, or a new authenticator's QR code."""
    return _page(context, language, step, next)


@router.post("", dependencies=[Depends(require_same_origin), Depends(_require_csrf_token)])
def go_on(
    request: Request,
    context: Context,
    language: Language,
    step: Step,
    code: Annotated[str, Form()] = "",
    form: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Completes the log-in with a new cookie, or shows the form again."""
    token = login_token(request)
    try:
        if step.stage is Stage.CODE:
            return lead_on(request, logins.give_code(context, token, code), next)
        login, recovery_codes = logins.set_second_factor(context, token, form, code)
    except InvalidError as error:
        return _page(context, language, step, next, error=error.code, form=form, status=422)
    page = render(
        "account/recovery_codes.html", language, codes=recovery_codes, next=own_path(next)
    )
    response = HTMLResponse(page)
    set_login_cookie(request, response, login.token)
    return response


def make_offer(context: Context, language: str, user_id: str, form: str = "") -> dict[str, object]:
    """What a template needs to show an authenticator; the same again for a mistyped code."""
    issuer = translate(language, "app.name")
    offer: Offer = (
        second_factors.offer_again(context, user_id, issuer, form)
        if form
        else second_factors.offer(context, user_id, issuer)
    )
    return {"offer": offer, "qr": qr_svg(offer.address)}


def _page(
    context: Context,
    language: str,
    step: Login,
    next: str,
    *,
    error: str | None = None,
    form: str = "",
    status: int = 200,
) -> HTMLResponse:
    is_enrolment = step.stage is Stage.ENROLMENT
    offered = make_offer(context, language, step.viewer.user_id, form) if is_enrolment else {}
    page = render(
        "second_step.html",
        language,
        next=own_path(next),
        address_in=partial(address_in, [("next", own_path(next))], path=SECOND_STEP),
        csrf_token=step.csrf_token,
        user=step.viewer.user_id,
        role=step.viewer.role,
        error=error,
        **{"offer": None, **offered},
    )
    return HTMLResponse(page, status)
