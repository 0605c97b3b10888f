"""The citizens' application: apart from the internal one, with no cookie and no log-in.

Nothing about a request is stored or logged: no address, no browser, no exact time.
"""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import DataError, OperationalError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from central_server.domain.errors import NotFoundError
from central_server.http import feedback, places, receipts
from central_server.http.public_pages import PublicParts, open_page
from central_server.services.context import ServerContext
from central_server.services.surveys import load_surveys
from web.body_limit import BodyLimit
from web.headers import SecurityHeaders
from web.pages import STATIC

_log = structlog.get_logger()
_FIRST_STEPS = ("r", "u", "receipt")


def make_public_app(context: ServerContext) -> FastAPI:
    """The application; raises `WrongFileError` if the survey's files are wrong."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.parts = PublicParts(context, load_surveys(context.settings.surveys_directory))
    app.include_router(places.router)
    app.include_router(feedback.router)
    app.include_router(receipts.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(NotFoundError, _on_not_found)
    app.add_exception_handler(RequestValidationError, _on_not_found)
    app.add_exception_handler(DataError, _on_not_found)  # no column holds that: it names nothing
    app.add_exception_handler(HTTPException, _on_framework_error)
    app.add_exception_handler(OperationalError, _on_database_error)
    app.add_middleware(BodyLimit, refuse=_refuse_large)
    app.add_middleware(SecurityHeaders)
    return app


class OneAddress:
    """Both applications on one address: the citizens' paths go to theirs, and to it alone, so that
    no cookie of the internal pages is ever set there.
    """

    def __init__(self, public: ASGIApp, internal: ASGIApp) -> None:
        self._public = public
        self._internal = internal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By the path's first step."""
        is_public = scope["type"] == "http" and scope["path"].split("/")[1:2] in [
            [step] for step in _FIRST_STEPS
        ]
        await (self._public if is_public else self._internal)(scope, receive, send)


def _refuse_large(request: Request) -> Response:
    return open_page(request).say("feedback.too_large", 413)


async def _on_not_found(request: Request, _error: Exception) -> Response:
    return open_page(request).say("public.not_found", 404)


async def _on_framework_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "public.not_found", 405: "public.wrong_way"}.get(status, "public.not_understood")
    return open_page(request).say(code, status)


async def _on_database_error(request: Request, error: Exception) -> Response:
    # No path and no desk: the line has a time, and together they would tell who sat there.
    _log.error(
        "database refused", reason=str(error.orig) if isinstance(error, OperationalError) else ""
    )
    response = open_page(request).say("public.not_now", 503)
    response.headers["Retry-After"] = "10"
    return response
