"""The agent's pages as one application, for the tablet, the screen and the installer on the LAN."""

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from edge_agent.http.kiosk import UnknownDeskError, make_kiosk_router, show_unknown_desk
from edge_agent.http.pages import refuse_large
from edge_agent.http.parts import Desks, Installation
from edge_agent.http.screen import make_screen_router
from edge_agent.http.setup import LoginNeededError, ask_for_login, make_setup_router
from web.body_limit import BodyLimit
from web.headers import SecurityHeaders
from web.pages import STATIC


def make_app(
    desks: Desks, installation: Installation, session_key: bytes, now: Callable[[], datetime]
) -> FastAPI:
    """Kiosk, screen and wizard; `session_key` signs the wizard's log-in."""
    app = FastAPI(title="Edge agent", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BodyLimit, refuse=refuse_large)
    app.add_middleware(SecurityHeaders)  # added last, so that it sees every answer
    app.add_exception_handler(UnknownDeskError, show_unknown_desk)
    app.add_exception_handler(LoginNeededError, ask_for_login)
    app.include_router(make_kiosk_router(desks, now))
    app.include_router(make_screen_router(desks, now))
    app.include_router(make_setup_router(installation, desks, session_key, now))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    def start(request: Request) -> Response:
        return RedirectResponse("/kiosk" if desks.list_desks() else "/setup", 303)

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app
