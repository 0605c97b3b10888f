"""The operator's page: what was heard on the hotline or found in the suggestion box."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import FormData

from central_server.domain.errors import InvalidError, NotFoundError
from central_server.domain.feedback_details import Details
from central_server.domain.permissions import Permission, UnitScope, require_in
from central_server.http.dependencies import GUARDED, CurrentVisit, Visit
from central_server.services import feedback
from central_server.services.feedback import Saved
from central_server.services.rating_forms import RatingForm
from central_server.services.signed_forms import read_form, write_form
from central_server.storage import places, unit_lists
from central_server.storage.places import Place
from event_protocol.events import FeedbackChannel
from event_protocol.feedback import (
    MAX_COMMENT_CHARACTERS,
    MAX_CONTACT_CHARACTERS,
    ComplaintReason,
)
from web.pages import LOCAL_TIME

router = APIRouter(prefix="/hotline", include_in_schema=False, dependencies=GUARDED)


async def _fields(request: Request) -> dict[str, list[str]]:
    """What was typed, by field."""
    posted: FormData = await request.form()
    typed: dict[str, list[str]] = {}
    for name, value in posted.multi_items():
        if isinstance(value, str):
            typed.setdefault(name, []).append(value)
    return typed


Typed = Annotated[dict[str, list[str]], Depends(_fields)]


@router.get("")
def show_form(visit: CurrentVisit) -> HTMLResponse:
    """An empty form."""
    return _show(visit, visit.scope(Permission.ENTER_FEEDBACK), {})


@router.post("")
def enter(visit: CurrentVisit, typed: Typed) -> HTMLResponse:
    """Files the entry like a citizen's own; what can't be taken is handed back as typed."""
    scope = visit.scope(Permission.ENTER_FEEDBACK)
    try:
        place = _place(visit, scope, _one(typed, "place"))
        form = _form_for(visit, place, _one(typed, "form"))
        told_at = _read_local(_one(typed, "told_at"))
        saved = feedback.enter(visit.context, visit.viewer, form, told_at, _details(typed))
    except InvalidError as error:
        return _show(visit, scope, typed, error=error, status=422)
    return _show(visit, scope, {}, saved=saved)


def _show(
    visit: Visit,
    scope: UnitScope,
    typed: dict[str, list[str]],
    *,
    error: InvalidError | None = None,
    saved: Saved | None = None,
    status: int = 200,
) -> HTMLResponse:
    # One nonce for each page shown: it is bound to a place when the entry is filed.
    blank = feedback.offer(visit.context, Place("", ""), FeedbackChannel.HOTLINE)
    with visit.context.database.reading() as db:
        units = unit_lists.list_units(db, scope)
        desks = unit_lists.list_desks(db, scope)
        return visit.page(
            "hotline/form.html",
            status=status,
            units=[
                (unit, [desk for desk in desks if desk.unit_id == unit.unit_id]) for unit in units
            ],
            typed={name: values[0] for name, values in typed.items()},
            chosen_reasons=typed.get("reason", []),
            reasons=tuple(ComplaintReason),
            limits=(MAX_COMMENT_CHARACTERS, MAX_CONTACT_CHARACTERS),
            latest=visit.context.now().astimezone(LOCAL_TIME).strftime("%Y-%m-%dT%H:%M"),
            form=write_form(blank, visit.context.keys.pepper),
            error=error,
            saved=saved,
        )


def _place(visit: Visit, scope: UnitScope, chosen: str) -> Place:
    """A desk or a unit of the scope; for this operator no other exists."""
    kind, _, name = chosen.partition(":")
    with visit.context.database.reading() as db:
        find = places.find_desk_place if kind == "desk" else places.find_unit_place
        place = find(db, name)
    if place is None:
        raise InvalidError("hotline.no_place")
    try:
        require_in(scope, place.unit_id)
    except NotFoundError:
        raise InvalidError("hotline.no_place") from None
    return place


def _form_for(visit: Visit, place: Place, token: str) -> RatingForm:
    form = read_form(RatingForm, token, visit.context.keys.pepper, visit.context.now())
    if form.channel is not FeedbackChannel.HOTLINE:
        raise InvalidError("feedback.form_forged")
    return form.model_copy(update={"unit_id": place.unit_id, "desk": place.desk})


def _read_local(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=LOCAL_TIME).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the first hours of year 1 are in no UTC year
        raise InvalidError("hotline.no_time") from error


def _details(typed: dict[str, list[str]]) -> Details:
    rating = _one(typed, "rating")
    known = {reason.value for reason in ComplaintReason}
    return Details(
        rating=int(rating) if rating in ("1", "2", "3", "4", "5") else None,
        reasons=tuple(ComplaintReason(r) for r in typed.get("reason", []) if r in known),
        comment=_one(typed, "comment"),
        contact=_one(typed, "contact"),
        wants_receipt=bool(_one(typed, "receipt")),
    )


def _one(typed: dict[str, list[str]], name: str) -> str:
    return typed.get(name, [""])[0]
