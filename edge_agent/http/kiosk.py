"""The tablet beside the desk: one tap is a complete answer, saved before the next page appears.

Works with no network and no script. Content lives in memory for two minutes so that it can be
amended, and is sealed before it is given on.
"""

import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from edge_agent.core.feedback import (
    AMENDABLE_FOR,
    GivenFeedback,
    rate,
    read_words,
)
from edge_agent.http.form_tokens import make_form_token, read_form_token, sign_id
from edge_agent.http.pages import language_of, page
from edge_agent.http.parts import Desks, NotSavedError
from event_protocol.feedback import (
    MAX_COMMENT_CHARACTERS,
    MAX_CONTACT_CHARACTERS,
    ComplaintReason,
)
from event_protocol.messages import DeskConfiguration
from web.qr_pictures import qr_svg

RATINGS = (5, 4, 3, 2, 1)
REASONS = tuple(ComplaintReason)


class RecentFeedback:
    """What was given in the last two minutes. Called by several threads."""

    def __init__(self) -> None:
        self._given: dict[UUID, GivenFeedback] = {}
        self._lock = threading.Lock()

    def remember(self, given: GivenFeedback, at: datetime) -> None:
        """Keep it until its time is over; what is over goes."""
        with self._lock:
            self._given = {key: old for key, old in self._given.items() if old.may_amend(at)}
            self._given[given.event_id] = given

    def find(self, event_id: UUID | None, at: datetime) -> GivenFeedback | None:
        """The feedback, as long as it may be amended."""
        with self._lock:
            given = self._given.get(event_id) if event_id is not None else None
        return given if given is not None and given.may_amend(at) else None


class UnknownDeskError(Exception):
    """No desk of that name is served by this box."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name[:64]


class KioskPages:
    """The pages below `/kiosk`."""

    def __init__(self, desks: Desks, now: Callable[[], datetime]) -> None:
        self._desks = desks
        self._now = now
        self._recent = RecentFeedback()
        self._saving = threading.Lock()  # one form posted twice at once is one tap

    def list_desks(self, request: Request) -> Response:
        """All desks; the page itself if there is only one."""
        known = self._desks.list_desks()
        if len(known) == 1:
            return _redirect(request, f"/kiosk/{known[0].desk}")
        return page(request, "kiosk/desks.html", desks=known)

    def show_faces(self, request: Request, name: str) -> Response:
        """Five faces and a form that counts once."""
        desk = find_desk(self._desks, name)
        return self._faces(request, desk, make_form_token(desk.desk, self._desks.form_key))

    def take_tap(
        self,
        request: Request,
        name: str,
        form: Annotated[str, Form()] = "",
        rating: Annotated[str, Form()] = "",
    ) -> Response:
        """Save the tap, and only then say thank you."""
        desk = find_desk(self._desks, name)
        event_id = read_form_token(desk.desk, form, self._desks.form_key)
        words = read_words(rating, (), "", "")
        if event_id is None or words.rating is None:
            # Not our form, or no face touched: ask again, with a new form.
            token = make_form_token(desk.desk, self._desks.form_key)
            return self._faces(request, desk, token, problem="kiosk.try_again", status=400)
        try:
            is_known_here = self._save_tap(desk, event_id, words.rating)
        except NotSavedError:
            return self._faces(request, desk, form, problem="kiosk.not_saved", status=503)
        if not is_known_here:
            return self._thanks(request, desk, None, problem="kiosk.counted_before", status=409)
        return _redirect(request, f"/kiosk/{desk.desk}/thanks?form={quote(form)}")

    def _save_tap(self, desk: DeskConfiguration, event_id: UUID, rating: int) -> bool:
        """`False` if the form counted so long ago that what it said is not in memory any more."""
        with self._saving:
            at = self._now()
            if self._recent.find(event_id, at) is not None:
                return True
            content = rate(rating, at, self._desks.current_session(desk.desk, at))
            given = GivenFeedback(event_id, desk.desk, content)
            given = given.with_receipt(secrets.token_bytes(15))
            is_new = self._desks.submit(given)
            if is_new:
                self._recent.remember(given, at)
            return is_new

    def show_thanks(
        self, request: Request, name: str, form: str = "", saved: bool = False
    ) -> Response:
        """Thank you, and for two minutes a place to change or add something."""
        desk = find_desk(self._desks, name)
        return self._thanks(request, desk, self._find_given(desk, form), is_amended=saved)

    def take_amendment(
        self,
        request: Request,
        name: str,
        form: Annotated[str, Form()] = "",
        amendment: Annotated[str, Form()] = "",
        rating: Annotated[str, Form()] = "",
        reason: Annotated[list[str] | None, Form()] = None,
        comment: Annotated[str, Form()] = "",
        contact: Annotated[str, Form()] = "",
    ) -> Response:
        """Save the whole new content beside the first tap."""
        desk = find_desk(self._desks, name)
        event_id = read_form_token(desk.desk, amendment, self._desks.form_key)
        words = read_words(rating, reason or (), comment, contact)
        with self._saving:
            given = self._find_given(desk, form)
            if given is None or event_id is None:
                return self._thanks(request, desk, None, problem="kiosk.too_late", status=410)
            typed = given.amended(words)
            try:
                amended = typed.with_receipt(secrets.token_bytes(15))
                if self._desks.amend(amended, event_id):
                    self._recent.remember(amended, self._now())
            except NotSavedError:
                # The form shows again what was typed, and no code that nobody stored.
                return self._thanks(
                    request, desk, typed, problem="kiosk.not_saved_more", status=503
                )
        return _redirect(request, f"/kiosk/{desk.desk}/thanks?form={quote(form)}&saved=1")

    def _find_given(self, desk: DeskConfiguration, form: str) -> GivenFeedback | None:
        event_id = read_form_token(desk.desk, form, self._desks.form_key)
        return self._recent.find(event_id, self._now())

    def _faces(
        self,
        request: Request,
        desk: DeskConfiguration,
        token: str,
        *,
        problem: str | None = None,
        status: int = 200,
    ) -> Response:
        return page(
            request,
            "kiosk/faces.html",
            status=status,
            desk=desk,
            form=token,
            ratings=RATINGS,
            problem=problem,
        )

    def _thanks(
        self,
        request: Request,
        desk: DeskConfiguration,
        given: GivenFeedback | None,
        *,
        is_amended: bool = False,
        problem: str | None = None,
        status: int = 200,
    ) -> Response:
        key = self._desks.form_key
        return page(
            request,
            "kiosk/thanks.html",
            status=status,
            desk=desk,
            given=given,
            form=sign_id(desk.desk, given.event_id, key) if given else "",
            amendment=make_form_token(desk.desk, key),
            ratings=RATINGS,
            reasons=REASONS,
            is_amended=is_amended,
            problem=problem,
            receipt=self._receipt(given),
            leave_after_s=int(AMENDABLE_FOR.total_seconds()) if given else 20,
            max_comment=MAX_COMMENT_CHARACTERS,
            max_contact=MAX_CONTACT_CHARACTERS,
        )

    def _receipt(self, given: GivenFeedback | None) -> dict[str, str] | None:
        if given is None or given.receipt_code is None:
            return None
        address = f"{self._desks.public_url.rstrip('/')}/receipt"
        return {"code": given.receipt_code, "qr": qr_svg(given.receipt_code), "at": address}


def make_kiosk_router(desks: Desks, now: Callable[[], datetime]) -> APIRouter:
    """The routes below `/kiosk`."""
    router, pages = APIRouter(prefix="/kiosk", include_in_schema=False), KioskPages(desks, now)
    router.get("")(pages.list_desks)
    router.get("/{name}")(pages.show_faces)
    router.post("/{name}")(pages.take_tap)
    router.get("/{name}/thanks")(pages.show_thanks)
    router.post("/{name}/amend")(pages.take_amendment)
    return router


def find_desk(desks: Desks, name: str) -> DeskConfiguration:
    """The desk of that name on this box; raises `UnknownDeskError`."""
    for desk in desks.list_desks():
        if desk.desk == name:
            return desk
    raise UnknownDeskError(name)


def show_unknown_desk(request: Request, error: Exception) -> Response:
    """Says so, and what to check."""
    name = error.name if isinstance(error, UnknownDeskError) else ""
    return page(request, "kiosk/unknown.html", status=404, name=name)


def _redirect(request: Request, path: str) -> RedirectResponse:
    """After a form: the answer is a page that can be loaded again without posting again."""
    language = language_of(request)
    if language != "vi":
        path += f"{'&' if '?' in path else '?'}lang={language}"
    return RedirectResponse(path, 303)
