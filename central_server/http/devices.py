"""Devices: health, last heard, link, telemetry and how far behind they are."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import Permission
from central_server.http.dependencies import CurrentVisit
from central_server.http.filters import Name, PlaceQuery
from central_server.storage import device_lists, flag_lists, unit_lists
from central_server.storage.flag_lists import FlagFilter

router = APIRouter(prefix="/devices", include_in_schema=False)


@router.get("")
def list_devices(visit: CurrentVisit, place: PlaceQuery, health: Name = "") -> HTMLResponse:
    """All devices, those in trouble first."""
    scope = visit.scope(Permission.SEE_DEVICES)
    with visit.context.database.reading() as db:
        everything = device_lists.list_devices(db, place.narrow(scope, visit))
        names = unit_lists.names(db, scope)
    shown = [v for v in everything if not health or device_lists.health_of(v.device) == health]
    return visit.page(
        "devices/list.html",
        views=shown,
        names=names,
        place=place,
        health=health,
        healths=device_lists.HEALTH_ORDER,
        health_of=device_lists.health_of,
    )


@router.get("/{device_id}")
def show_device(visit: CurrentVisit, device_id: str) -> HTMLResponse:
    """One device: its desks, its link, what it last said of itself, its flags."""
    scope = visit.scope(Permission.SEE_DEVICES)
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
            flags=flag_lists.list_flags(
                db, visit.flag_scope(), FlagFilter(device=device_id), limit=20
            ),
        )
