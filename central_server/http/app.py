"""The internal application: pages for people who log in, and the same as JSON."""

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from central_server.http import (
    account,
    api_evidence,
    api_flags,
    api_login,
    api_places,
    api_sessions,
    audit,
    devices,
    enrolment,
    error_pages,
    evidence,
    evidence_uploads,
    flags,
    health,
    hotline,
    live,
    login,
    oidc,
    posters,
    scorecards,
    second_step,
    sessions,
    units,
)
from central_server.http.language import RememberLanguage
from central_server.services.context import ServerContext
from event_protocol.evidence import MAX_CHUNK_BYTES, UPLOADS_PATH
from web.body_limit import BodyLimit
from web.headers import SecurityHeaders
from web.pages import STATIC

_ABOUT = """Sessions, flags, devices, units and scorecards of one-stop desks.

Log in with `POST /api/v1/session`; the answer sets the session's cookie and tells the CSRF token,
which every change must carry in the header `X-CSRF-Token`. What lies outside one's scope does not
exist (404). Times are ISO 8601 in UTC. Lists go on with `cursor` = the former page's `next_cursor`.
"""


def make_internal_app(
    context: ServerContext, broker_is_linked: Callable[[], bool] | None = None
) -> FastAPI:
    """The application over one server's parts; it starts nothing by itself.

    `broker_is_linked` answers /readyz; `None` where this process takes no events in.
    """
    app = FastAPI(
        title="One-stop desks",
        version="1",
        description=_ABOUT,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page would load from another server
        redoc_url=None,
    )
    app.state.context = context
    app.state.broker_is_linked = broker_is_linked
    error_pages.install(app)
    app.add_middleware(
        BodyLimit,
        refuse=lambda asked: error_pages.answer(asked, 413, "error.size"),
        larger={UPLOADS_PATH: MAX_CHUNK_BYTES},
    )
    app.add_middleware(RememberLanguage)
    app.add_middleware(SecurityHeaders)
    # `live` first: /flags/stream is no flag's id.
    for pages in (
        login,
        second_step,
        oidc,
        account,
        live,
        flags,
        evidence,
        sessions,
        devices,
        units,
        scorecards,
        audit,
        health,
        hotline,
        posters,
    ):
        app.include_router(pages.router)
    for api in (api_login, api_flags, api_evidence, api_sessions, api_places):
        app.include_router(api.router, prefix="/api/v1")
    app.include_router(evidence_uploads.router)
    app.include_router(enrolment.router, responses={422: error_pages.PROBLEMS[422]})
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
