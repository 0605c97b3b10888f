"""One table from errors to status and words; as a page for people, as problem JSON for programs."""

from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import DataError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from central_server.domain.errors import (
    ConflictError,
    DomainError,
    ForgedRequestError,
    GoneError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    NotLoggedInError,
)
from central_server.http.language import addresses_of, page_language
from central_server.http.navigation import SECOND_STEP
from web.headers import HEADERS
from web.pages import render, translate

_log = structlog.get_logger()

STATUS: dict[type[DomainError], int] = {
    NotLoggedInError: 401,
    ForgedRequestError: 403,
    NotAllowedError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    GoneError: 410,
    InvalidError: 422,
    DomainError: 500,
}
# What the framework itself refuses, in the same words.
_CODE_OF_STATUS = {404: "error.not_found", 405: "error.method"}
_PROBLEM_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457: what went wrong; `code` is stable, `detail` is in the reader's language."""

    title: str
    status: int
    code: str
    detail: str


PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"model": Problem, "description": text, "content": {_PROBLEM_TYPE: {}}}
    for status, text in {
        401: "Nobody is logged in.",
        403: "Not meant by this session: the CSRF header is missing or wrong.",
        404: "Does not exist, or not for you.",
        409: "No longer in the state that was acted on.",
        422: "A parameter or the body can't be taken.",
    }.items()
}


def wants_json(request: Request) -> bool:
    """Programs ask under /api; a script on a page may ask for JSON anywhere."""
    return request.url.path.startswith("/api/") or "json" in request.headers.get("accept", "")


def answer(request: Request, status: int, code: str, **details: object) -> Response:
    """The error in the reader's language."""
    language = page_language(request)
    detail = translate(language, code, **details)
    if wants_json(request):
        title = translate(language, f"error.title.{status}")
        problem = Problem(title=title, status=status, code=code, detail=detail)
        return JSONResponse(problem.model_dump(), status, media_type=_PROBLEM_TYPE)
    addresses = addresses_of(request)
    page = render("errors/error.html", language, status=status, detail=detail, address_in=addresses)
    return HTMLResponse(page, status)


def answer_error(request: Request, error: DomainError) -> Response:
    """What a person or a device can be told, with its status."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    return answer(request, status, error.code, **error.details)


def install(app: FastAPI) -> None:
    """Every error of every route is answered here."""
    app.add_exception_handler(DomainError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_framework_error)
    app.add_exception_handler(OperationalError, _on_database_error)
    app.add_exception_handler(DataError, _on_impossible_value)
    app.add_exception_handler(Exception, _on_fault)


async def _on_domain_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, DomainError):
        raise error
    if isinstance(error, NotLoggedInError) and not wants_json(request):
        return _to_login(request, SECOND_STEP if error.is_half_way else "/login")
    if isinstance(error, ForgedRequestError | NotFoundError | NotAllowedError):
        _log_refusal(request, error)
    return answer_error(request, error)


def _log_refusal(request: Request, error: DomainError) -> None:
    """Whoever is logged in and reaches for what is not theirs, or is made to, is on record.

    The route and not the address: what was typed into an address may be anything.
    """
    user = getattr(request.state, "user", None)
    if user is not None:
        route = getattr(request.scope.get("route"), "path", "")
        _log.info("refused", user=user, method=request.method, route=route, code=error.code)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    # A page's address with a wrong name in it is a place that does not exist.
    if request.method == "GET" and not wants_json(request):
        return answer(request, 404, "error.not_found")
    return answer(request, 422, "error.invalid", fields=_fields(error))


async def _on_framework_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 400:  # a body that is neither text nor a form
        return answer(request, 422, "error.invalid", fields="body")
    return answer(request, status, _CODE_OF_STATUS.get(status, "error.unexpected"))


async def _on_database_error(request: Request, error: Exception) -> Response:
    """Locked or full: nothing was changed, and trying again helps."""
    _log.warning(
        "database refused", path=request.url.path, reason=str(getattr(error, "orig", error))
    )
    response = answer(request, 503, "error.database")
    response.headers["Retry-After"] = "5"
    return response


async def _on_impossible_value(request: Request, _error: Exception) -> Response:
    """Something that the database's columns can't hold (PostgreSQL: a zero byte) names nothing."""
    return answer(request, 404, "error.not_found")


async def _on_fault(request: Request, error: Exception) -> Response:
    """Our own mistake; the framework raises it again for the log, behind the answer."""
    response = answer(request, 500, "error.unexpected")
    response.headers.update(HEADERS)  # this answer is made outside the middleware
    return response


def _fields(error: Exception) -> str:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return ", ".join(".".join(str(part) for part in each["loc"][1:]) for each in found)


def _to_login(request: Request, step: str) -> Response:
    if "hx-request" in request.headers:  # htmx would put the log-in page into a table row
        return Response(status_code=204, headers={"HX-Redirect": step})
    target = request.url.path
    if request.method == "GET" and request.url.query:
        target += f"?{request.url.query}"
    return RedirectResponse(f"{step}?next={quote(target, safe='')}", 303)
