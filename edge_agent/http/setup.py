"""The installer's wizard: pair, camera, zones, masks, empty desk, check; each with a tick.

Works without a script; with one, areas are drawn on the picture and what changes renews itself.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from edge_agent.http.pages import language_of, page
from edge_agent.http.parts import Desks, Installation, RefusedError
from edge_agent.http.setup_forms import (
    choose,
    mask_rows,
    polygons_of,
    text_of,
    zone_rows,
    zones_text,
)
from edge_agent.http.setup_login import SetupLogin
from event_protocol.events import ZoneRole

STEPS = ("pair", "camera", "zones", "masks", "calibrate", "check")
OPTIONAL = {"masks"}  # the wizard does not send anybody there


class LoginNeededError(Exception):
    """The page is for the installer only."""


class SetupPages:
    """The pages below `/setup`."""

    def __init__(self, installation: Installation, desks: Desks, login: SetupLogin) -> None:
        self._box = installation
        self._desks = desks
        self._login = login

    # --- log-in ----------------------------------------------------------------------------------

    def show_login(self, request: Request) -> Response:
        """Asks for the PIN."""
        return page(request, "setup/login.html", error=None)

    def log_in(self, request: Request, pin: Annotated[str, Form()] = "") -> Response:
        """A right PIN opens the wizard."""
        if not self._login.may_try():
            return page(request, "setup/login.html", status=429, error="setup.error.too_many_pins")
        is_right = self._box.accepts_pin(pin.strip())
        self._login.note_try(is_right=is_right)
        if not is_right:
            return page(request, "setup/login.html", status=403, error="setup.error.wrong_pin")
        answer = _go(request, self._first_open_step())
        self._login.open(request, answer)
        return answer

    async def require_login(self, request: Request) -> None:
        """Before every other page: the log-in, and on each form its token."""
        login = self._login.find(request)
        if login is None:
            raise LoginNeededError
        if request.method == "POST":
            token = text_of(await request.form(), "token")
            if not self._login.is_own_form(request, login, token):
                raise LoginNeededError

    def log_out(self, request: Request) -> Response:
        """Ends this browser's log-in."""
        answer = _go(request, "login")
        self._login.close(answer)
        return answer

    # --- the steps -------------------------------------------------------------------------------

    def begin(self, request: Request) -> Response:
        """Goes on where something is still to be done."""
        return _go(request, self._first_open_step())

    def show_pair(self, request: Request) -> Response:
        """Asks for the server's address and the pairing code."""
        return self._page(request, "pair")

    async def pair(self, request: Request) -> Response:
        """Trades the code for this box's name."""
        form = await request.form()
        server, code = text_of(form, "server"), text_of(form, "code")
        return await self._try(
            request, "pair", "camera", lambda: self._box.pair(server, code), server=server
        )

    def show_camera(self, request: Request) -> Response:
        """The cameras with their pictures, and a form for each."""
        return self._page(request, "camera")

    async def save_camera(self, request: Request) -> Response:
        """Adds or changes a camera."""
        form = await request.form()
        desks = tuple(str(value) for value in form.getlist("desk"))
        name, source = text_of(form, "name"), text_of(form, "source")
        return await self._try(
            request, "camera", "camera", lambda: self._box.save_camera(name, source, desks)
        )

    def show_zones(self, request: Request, camera: str = "", desk: str = "") -> Response:
        """The picture with one desk's zones on it."""
        return self._page(request, "zones", asked=(camera, desk))

    async def save_zones(self, request: Request) -> Response:
        """Replaces one desk's zones."""
        form = await request.form()
        camera, desk = text_of(form, "camera"), text_of(form, "desk")
        return await self._try(
            request,
            "zones",
            f"zones?camera={quote(camera)}&desk={quote(desk)}&saved=1",
            lambda: self._box.save_zones(camera, desk, zones_text(form)),
            asked=(camera, desk),
        )

    def show_masks(self, request: Request, camera: str = "") -> Response:
        """The picture with the areas that no clip may show."""
        return self._page(request, "masks", asked=(camera, ""))

    async def save_masks(self, request: Request) -> Response:
        """Replaces one camera's masks."""
        form = await request.form()
        camera = text_of(form, "camera")
        return await self._try(
            request,
            "masks",
            f"masks?camera={quote(camera)}&saved=1",
            lambda: self._box.save_masks(camera, polygons_of(form)),
            asked=(camera, ""),
        )

    def show_calibrate(self, request: Request) -> Response:
        """Asks to leave the desk empty for a moment."""
        return self._page(request, "calibrate")

    async def calibrate(self, request: Request) -> Response:
        """Takes what the camera sees now as the empty desk."""
        camera = text_of(await request.form(), "camera")
        return await self._try(request, "calibrate", "check", lambda: self._box.calibrate(camera))

    def show_check(self, request: Request) -> Response:
        """Everything measured now, each with a tick or with what to do."""
        return self._page(request, "check", checks=self._box.run_checks())

    def take_picture(self, name: str) -> Response:
        """The newest picture of a camera."""
        picture = self._box.take_picture(name)
        if picture is None:
            return Response(status_code=404)
        return Response(picture, media_type="image/jpeg")

    # --- parts -----------------------------------------------------------------------------------

    async def _try(
        self,
        request: Request,
        step: str,
        after: str,
        action: Callable[[], None],
        *,
        asked: tuple[str, str] = ("", ""),
        server: str = "",
    ) -> Response:
        """Do it, and go on; or show the same step with what is wrong."""
        try:
            # Pairing and starting a camera take seconds; other pages must go on.
            await run_in_threadpool(action)
        except RefusedError as error:
            return self._page(request, step, status=422, error=error, asked=asked, server=server)
        return _go(request, after)

    def _first_open_step(self) -> str:
        done = self._steps_done()
        return next((step for step in STEPS if not done[step] and step not in OPTIONAL), "check")

    def _steps_done(self) -> dict[str, bool]:
        cameras = self._box.list_cameras()
        return {
            "pair": self._box.device is not None,
            "camera": bool(cameras)
            and all(c.problem is None and c.state is not None for c in cameras),
            "zones": bool(cameras) and all(v.zones for camera in cameras for v in camera.desks),
            "masks": any(camera.masks for camera in cameras),
            "calibrate": bool(cameras) and all(camera.is_calibrated for camera in cameras),
            "check": False,
        }

    def _page(
        self,
        request: Request,
        step: str,
        *,
        status: int = 200,
        error: RefusedError | None = None,
        asked: tuple[str, str] = ("", ""),
        server: str = "",
        checks: object = (),
    ) -> Response:
        cameras = self._box.list_cameras()
        camera, view = choose(cameras, *asked)
        login = self._login.find(request) or ""
        return page(
            request,
            f"setup/{step}.html",
            status=status,
            step=step,
            steps=STEPS,
            done=self._steps_done(),
            token=self._login.form_token(login),
            error=error,
            saved="saved" in request.query_params,
            device=self._box.device,
            server=server,
            cameras=cameras,
            camera=camera,
            view=view,
            rows=zone_rows(view),
            masks=mask_rows(camera),
            roles=tuple(ZoneRole),
            desks=self._desks.list_desks(),
            next_camera=f"camera-{len(cameras) + 1}",
            checks=checks,
        )


def make_setup_router(
    installation: Installation, desks: Desks, key: bytes, now: Callable[[], datetime]
) -> APIRouter:
    """The routes below `/setup`; `key` signs log-ins."""
    pages = SetupPages(installation, desks, SetupLogin(key, now))
    router = APIRouter(include_in_schema=False)
    router.get("/setup/login")(pages.show_login)
    router.post("/setup/login")(pages.log_in)
    inside = APIRouter(prefix="/setup", dependencies=[Depends(pages.require_login)])
    inside.get("")(pages.begin)
    inside.get("/pair")(pages.show_pair)
    inside.post("/pair")(pages.pair)
    inside.get("/camera")(pages.show_camera)
    inside.post("/camera")(pages.save_camera)
    inside.get("/zones")(pages.show_zones)
    inside.post("/zones")(pages.save_zones)
    inside.get("/masks")(pages.show_masks)
    inside.post("/masks")(pages.save_masks)
    inside.get("/calibrate")(pages.show_calibrate)
    inside.post("/calibrate")(pages.calibrate)
    inside.get("/check")(pages.show_check)
    inside.get("/picture/{name}.jpg")(pages.take_picture)
    inside.post("/logout")(pages.log_out)
    router.include_router(inside)
    return router


def ask_for_login(request: Request, _error: Exception) -> Response:
    """Where a request without log-in ends."""
    return _go(request, "login")


def _go(request: Request, step: str) -> RedirectResponse:
    separator = "&" if "?" in step else "?"
    return RedirectResponse(f"/setup/{step}{separator}lang={language_of(request)}", 303)
