"""Devices, units and scorecards as JSON."""

from fastapi import APIRouter

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import Permission, only, require_in
from central_server.domain.scorecards import UnitMonth, observed_share, rating_figure
from central_server.http.api_models import (
    DeviceList,
    DeviceOut,
    RatingOut,
    ScorecardOut,
    UnitList,
    UnitMonthOut,
    UnitOut,
)
from central_server.http.dependencies import CurrentVisit
from central_server.http.error_pages import PROBLEMS
from central_server.http.filters import PlaceQuery
from central_server.http.scorecards import MonthText, choose_month, read_card
from central_server.storage import device_lists, unit_lists

router = APIRouter(responses=PROBLEMS)


@router.get("/devices", operation_id="listDevices", tags=["devices"])
def list_devices(visit: CurrentVisit, place: PlaceQuery) -> DeviceList:
    """The devices of the viewer's units."""
    scope = place.narrow(visit.scope(Permission.SEE_DEVICES), visit)
    with visit.context.database.reading() as db:
        views = device_lists.list_devices(db, scope)
    return DeviceList(items=[DeviceOut.of(view) for view in views])


@router.get("/devices/{device_id}", operation_id="getDevice", tags=["devices"])
def get_device(visit: CurrentVisit, device_id: str) -> DeviceOut:
    """One device."""
    scope = visit.scope(Permission.SEE_DEVICES)
    with visit.context.database.reading() as db:
        view = device_lists.find_device(db, scope, device_id)
    if view is None:
        raise NotFoundError()
    return DeviceOut.of(view)


@router.get("/units", operation_id="listUnits", tags=["units"])
def list_units(visit: CurrentVisit) -> UnitList:
    """The viewer's part of the tree."""
    scope = visit.scope(Permission.SEE_UNIT_FIGURES)
    with visit.context.database.reading() as db:
        units, desks = unit_lists.list_units(db, scope), unit_lists.list_desks(db, scope)
    return UnitList(items=[UnitOut.of(unit, desks) for unit in units])


@router.get("/units/{unit_id}", operation_id="getUnit", tags=["units"])
def get_unit(visit: CurrentVisit, unit_id: str) -> UnitOut:
    """One unit."""
    scope = visit.scope(Permission.SEE_UNIT_FIGURES)
    unit = only(scope, require_in(scope, unit_id))
    with visit.context.database.reading() as db:
        units, desks = unit_lists.list_units(db, unit), unit_lists.list_desks(db, unit)
    return UnitOut.of(units[0], desks)


@router.get("/scorecards", operation_id="getScorecards", tags=["scorecards"])
def get_scorecards(visit: CurrentVisit, place: PlaceQuery, month: MonthText = "") -> ScorecardOut:
    """The month of the viewer's units."""
    chosen = choose_month(visit, month)
    card = read_card(visit, place, chosen)
    hide = card.suppresses_small
    return ScorecardOut(
        month=str(chosen),
        units=[_month(each, suppress_small=hide) for each in card.months],
        total=_month(card.total, suppress_small=hide),
    )


def _month(month: UnitMonth, *, suppress_small: bool) -> UnitMonthOut:
    figure = rating_figure(month, suppress_small=suppress_small)
    return UnitMonthOut(
        unit_id=month.unit_id or None,
        desks=month.desks,
        sessions=month.sessions,
        uncertain_sessions=month.uncertain_sessions,
        rating=None
        if figure is None
        else RatingOut(
            answers=figure.answers,
            satisfied_share=figure.share,
            interval_low=figure.interval.low,
            interval_high=figure.interval.high,
            coverage=figure.coverage,
        ),
        observed_share=observed_share(month),
        open_flags=month.open_flags,
    )
