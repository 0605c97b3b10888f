"""The chief's first page: my units' month, and what to do on Monday."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import FlagScope, Permission
from central_server.domain.scorecards import MIN_ANSWERS, observed_share, rating_figure
from central_server.http.dependencies import CurrentVisit, Visit
from central_server.http.filters import PlaceQuery
from central_server.services import rule_sets
from central_server.services.scorecards import Month, Scorecard, month_of, read_scorecard
from central_server.storage import unit_lists
from web.pages import LOCAL_TIME

router = APIRouter(prefix="/scorecards", include_in_schema=False)

MonthText = Annotated[
    str,
    Query(
        pattern=r"^(|20\d\d-(0[1-9]|1[0-2]))$",
        description="A calendar month at the desks, `2026-03`; empty: the last whole month.",
    ),
]


@router.get("")
def show_scorecards(visit: CurrentVisit, place: PlaceQuery, month: MonthText = "") -> HTMLResponse:
    """Units with their figures; each that may be opened leads to the list behind it."""
    chosen = choose_month(visit, month)
    card = read_card(visit, place, chosen)
    this_month = month_of(visit.context.now().astimezone(LOCAL_TIME).date())
    scope = visit.scope(Permission.SEE_UNIT_FIGURES)
    with visit.context.database.reading() as db:
        names = unit_lists.names(db, scope)
    return visit.page(
        "scorecards/list.html",
        card=card,
        month=chosen,
        is_running=chosen == this_month,
        following=chosen.following if chosen.first < this_month.first else None,
        names=names,
        place=place,
        rating_figure=rating_figure,
        observed_share=observed_share,
        minimum=MIN_ANSWERS,
        may_open_sessions=visit.viewer.may(Permission.SEE_SESSIONS),
    )


def choose_month(visit: Visit, text: str) -> Month:
    """The month asked for, else the last whole one; the future does not exist yet."""
    today = visit.context.now().astimezone(LOCAL_TIME).date()
    if not text:
        return month_of(today).previous
    year, month = text.split("-")
    chosen = Month(int(year), int(month))
    if chosen.first > today:
        raise NotFoundError()
    return chosen


def read_card(visit: Visit, place: PlaceQuery, month: Month) -> Scorecard:
    """The scorecard of the part of the viewer's units that is asked for."""
    flags = visit.flag_scope()
    with visit.context.database.reading() as db:
        return read_scorecard(
            db,
            place.narrow(visit.scope(Permission.SEE_UNIT_FIGURES), visit),
            FlagScope(place.narrow(flags.units, visit), flags.inspection),
            month,
            rules=rule_sets.history(db, visit.context),
            now=visit.context.now(),
            sees_feedback=visit.viewer.may(Permission.SEE_FEEDBACK),
        )
