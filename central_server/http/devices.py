"""Devices: health, last heard, link, telemetry and how far behind they are."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import Permission
from central_server.http.dependencies import CurrentVisit
from central_server.http.filters import Name, PlaceQuery
from central_server.storage import device_lists, flag_lists, quarantine, unit_lists
from central_server.storage.flag_lists import FlagFilter

router = APIRouter(prefix="/devices", include_in_schema=False)
_REFUSED_SHOWN = 50


@router.get("")
def list_devices(visit: CurrentVisit, place: PlaceQuery, health: Name = "") -> HTMLResponse:
    """All devices, those in trouble first; for administrators also who knocks and is not known."""
    scope = visit.scope(Permission.SEE_DEVICES)
    with visit.context.database.reading() as db:
        everything = device_lists.list_devices(db, place.narrow(scope, visit))
        names = unit_lists.names(db, scope)
        strangers = (
            quarantine.list_of_strangers(db, _REFUSED_SHOWN)
            if visit.viewer.may(Permission.ADMINISTER)
            else []
        )
    shown = [v for v in everything if not health or device_lists.health_of(v.device) == health]
    return visit.page(
        "devices/list.html",
        views=shown,
        names=names,
        place=place,
        health=health,
        healths=device_lists.HEALTH_ORDER,
        health_of=device_lists.health_of,
        refused=strangers,
    )


@router.get("/{device_id}")
def show_device(visit: CurrentVisit, device_id: str) -> HTMLResponse:
    """One device: its desks, its link, what it last said of itself, what was refused, its flags."""
    scope = visit.scope(Permission.SEE_DEVICES)
    inspects = visit.viewer.may(Permission.SEE_FLAGS)
    sees_refused = inspects or visit.viewer.may(Permission.ADMINISTER)
    with visit.context.database.reading() as db:
        view = device_lists.find_device(db, scope, device_id)
        if view is None:
            raise NotFoundError()
        return visit.page(
            "devices/detail.html",
            view=view,
            device=view.device,
            health=device_lists.health_of(view.device),
            names=unit_lists.names(db, scope),
            strange_desks=device_lists.list_strange_desks(db, device_id),
            unreadable=device_lists.list_unreadable(db, device_id, _REFUSED_SHOWN)
            if sees_refused
            else [],
            refused=quarantine.list_of_device(
                db, device_id, _REFUSED_SHOWN, with_incidents=inspects
            )
            if sees_refused
            else [],
            flags=flag_lists.list_flags(
                db, visit.flag_scope(), FlagFilter(device=device_id), limit=20
            ),
        )
