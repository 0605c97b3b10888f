"""The desk's screen: a QR code that changes all the time and names the visit it was shown in."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from fastapi import APIRouter, Request, Response

from edge_agent.http.kiosk import find_desk
from edge_agent.http.pages import page
from edge_agent.http.parts import Desks
from event_protocol.messages import DeskConfiguration
from event_protocol.tokens import RatingToken, make_token
from web.qr_pictures import qr_svg

ROTATE_EVERY_S = 30
# A citizen who scans at the last moment still has time to get a connection and tap.
CODE_HOLDS = timedelta(minutes=10)


def make_screen_router(desks: Desks, now: Callable[[], datetime]) -> APIRouter:
    """The routes below `/screen`."""
    router = APIRouter(prefix="/screen", include_in_schema=False)

    @router.get("/{name}")
    def show_screen(request: Request, name: str) -> Response:
        desk = find_desk(desks, name)
        address = rating_address(desks, desk, now())
        return page(
            request,
            "screen/screen.html",
            desk=desk,
            code=qr_svg(address),
            address=address.partition("?")[0],
            refresh_s=ROTATE_EVERY_S,
        )

    return router


def rating_address(desks: Desks, desk: DeskConfiguration, at: datetime) -> str:
    """What the code says: the desk's public page with a token of this visit, used once."""
    token = RatingToken(
        desk=desk.desk,
        session_id=desks.current_session(desk.desk, at),
        expires_at=desks.server_time(at) + CODE_HOLDS,
        nonce=secrets.randbits(64),
    )
    text = make_token(token, bytes.fromhex(desk.token_key))
    return f"{desks.public_url.rstrip('/')}/r/{desk.desk}?t={text}"
