"""The citizen's pages: five faces, thanks, and what may follow. No script, no cookie, no log-in."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import structlog
from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import OperationalError
from starlette.datastructures import FormData

from central_server.domain.errors import InvalidError, NotFoundError
from central_server.domain.feedback_details import Details
from central_server.domain.surveys import Survey
from central_server.http.public_pages import (
    Fields,
    Page,
    PublicPage,
    pairs_of,
    text_of,
    texts_of,
)
from central_server.services import feedback
from central_server.services.feedback import Saved
from central_server.services.rating_forms import DetailsForm, RatingForm
from central_server.services.signed_forms import read_form, write_form
from central_server.storage import places
from central_server.storage.places import Place
from event_protocol.events import FeedbackChannel
from event_protocol.feedback import (
    MAX_COMMENT_CHARACTERS,
    MAX_CONTACT_CHARACTERS,
    ComplaintReason,
)
from web.qr_pictures import qr_svg

router = APIRouter(include_in_schema=False)
_log = structlog.get_logger()

FormT = TypeVar("FormT", RatingForm, DetailsForm)


def _channel(came: Annotated[str, Query(alias="from")] = "") -> FeedbackChannel:
    return FeedbackChannel.HOME if came == "home" else FeedbackChannel.PHONE


Channel = Annotated[FeedbackChannel, Depends(_channel)]


@router.get("/r/{desk}")
def show_desk(page: Page, desk: str, channel: Channel, t: str | None = None) -> HTMLResponse:
    """Five faces for one desk; `t` is what the desk screen's code said."""
    return _show_faces(page, _desk(page, desk), channel, scanned=t)


@router.post("/r/{desk}")
def rate_desk(
    page: Page, desk: str, channel: Channel, fields: Fields, t: str | None = None
) -> HTMLResponse:
    """The first tap for a desk: saved before anything else is asked."""
    return _rate(page, _desk(page, desk), channel, fields, scanned=t)


@router.get("/u/{unit_id}")
def show_unit(page: Page, unit_id: str) -> HTMLResponse:
    """Five faces for a unit as a whole, from home."""
    return _show_faces(page, _unit(page, unit_id), FeedbackChannel.HOME)


@router.post("/u/{unit_id}")
def rate_unit(page: Page, unit_id: str, fields: Fields) -> HTMLResponse:
    """The first tap for a unit as a whole."""
    return _rate(page, _unit(page, unit_id), FeedbackChannel.HOME, fields)


@router.post("/r")
def complete(page: Page, fields: Fields) -> HTMLResponse:
    """Changes and completes what was tapped; what can't be taken is handed back with its words."""
    try:
        form = _read(page, DetailsForm, fields)
    except InvalidError as error:
        return page.say(error.code, 400)
    if not page.parts.taps.allows(form.feedback_id, page.context.now()):
        return page.show("again", 429, reason="public.wait", fields=pairs_of(fields))
    details = _read_details(fields, page.survey)

    def save() -> HTMLResponse:
        try:
            saved = feedback.complete(page.context, form, details)
        except InvalidError as error:
            return _show_thanks(page, form, None, details, fields, status=400, error=error)
        said = _details_of(saved)
        return _show_thanks(page, form, saved, said, fields)

    return _save_or_say(page, fields, save)


def _rate(
    page: PublicPage,
    place: Place,
    channel: FeedbackChannel,
    fields: FormData,
    scanned: str | None = None,
) -> HTMLResponse:
    try:
        form = _read(page, RatingForm, fields)
        if (form.unit_id, form.desk) != (place.unit_id, place.desk):
            raise InvalidError("feedback.form_forged")
        rating = _read_rating(text_of(fields, "rating"))
    except InvalidError as error:
        return _show_faces(page, place, channel, scanned=scanned, status=400, error=error)
    if not page.parts.taps.allows((form.unit_id, form.desk), page.context.now()):
        return page.show("again", 429, reason="public.wait", fields=pairs_of(fields))

    def save() -> HTMLResponse:
        saved = feedback.submit(page.context, form, rating)
        follow_up = DetailsForm(
            nonce=form.nonce, expires_at=form.expires_at, feedback_id=saved.feedback_id
        )
        return _show_thanks(page, follow_up, saved, _details_of(saved), fields, is_first=True)

    return _save_or_say(page, fields, save)


def _save_or_say(
    page: PublicPage, fields: FormData, save: Callable[[], HTMLResponse]
) -> HTMLResponse:
    """Locked or full: nothing is half written, the citizen is told, and one tap tries again."""
    try:
        return save()
    except OperationalError as error:
        _log.error("feedback not saved", reason=str(error.orig))
        answer = page.show("again", 503, reason="public.not_saved", fields=pairs_of(fields))
        answer.headers["Retry-After"] = "10"
        return answer


def _show_faces(
    page: PublicPage,
    place: Place,
    channel: FeedbackChannel,
    *,
    scanned: str | None = None,
    status: int = 200,
    error: InvalidError | None = None,
) -> HTMLResponse:
    form = feedback.offer(page.context, place, channel, scanned)
    token = write_form(form, page.context.keys.pepper)
    return page.show("rate", status, place=place, form=token, notice=form.notice, error=error)


def _show_thanks(
    page: PublicPage,
    form: DetailsForm,
    saved: Saved | None,
    details: Details,
    fields: FormData,
    *,
    status: int = 200,
    error: InvalidError | None = None,
    is_first: bool = False,
) -> HTMLResponse:
    """`saved` is `None` if these details could not be taken; `details` fill the form again."""
    code = None if saved is None else saved.code
    return page.show(
        "thanks",
        status,
        form=write_form(form, page.context.keys.pepper),
        saved=saved,
        details=details,
        answers=dict(details.survey),
        survey=page.survey,
        reasons=tuple(ComplaintReason),
        limits=(MAX_COMMENT_CHARACTERS, MAX_CONTACT_CHARACTERS),
        code=code,
        qr=None if code is None else qr_svg(code),
        is_first=is_first,
        error=error,
        fields=pairs_of(fields),
    )


def _details_of(saved: Saved) -> Details:
    said = saved.content
    return Details(
        rating=said.rating,
        reasons=said.reasons,
        comment=said.comment,
        contact=said.contact,
        survey=tuple(said.survey.items()),
        wants_receipt=said.receipt_hash is not None,
    )


def _read_details(fields: FormData, survey: Survey | None) -> Details:
    """What was posted; a chip or an answer that no page of ours offers is left out."""
    known = {reason.value for reason in ComplaintReason}
    rating = text_of(fields, "rating")
    items = sorted(survey.item_keys) if survey else []
    answers = [(item, text_of(fields, f"item-{item}")) for item in items]
    return Details(
        rating=int(rating) if rating in _RATINGS else None,
        reasons=tuple(ComplaintReason(r) for r in texts_of(fields, "reason") if r in known),
        comment=text_of(fields, "comment"),
        contact=text_of(fields, "contact"),
        survey=tuple((item, int(answer)) for item, answer in answers if answer in _RATINGS),
        wants_receipt=bool(text_of(fields, "receipt")),
    )


_RATINGS = ("1", "2", "3", "4", "5")


def _read_rating(text: str) -> int:
    if text not in _RATINGS:
        raise InvalidError("feedback.rating_unknown")
    return int(text)


def _read(page: PublicPage, kind: type[FormT], fields: FormData) -> FormT:
    token = text_of(fields, "form")
    return read_form(kind, token, page.context.keys.pepper, page.context.now())


def _desk(page: PublicPage, desk: str) -> Place:
    with page.context.database.reading() as db:
        place = places.find_desk_place(db, desk)
    if place is None:
        raise NotFoundError()
    return place


def _unit(page: PublicPage, unit_id: str) -> Place:
    with page.context.database.reading() as db:
        place = places.find_unit_place(db, unit_id)
    if place is None:
        raise NotFoundError()
    return place
