"""What is printed and hung at a desk: the poster with its QR code, and the notice on the camera."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from central_server.domain.errors import NotFoundError
from central_server.domain.permissions import Permission, require_in
from central_server.http.dependencies import CurrentVisit
from central_server.storage import places
from web.qr_pictures import qr_svg

router = APIRouter(prefix="/posters", include_in_schema=False)


@router.get("/{desk}")
def show_poster(visit: CurrentVisit, desk: str) -> HTMLResponse:
    """Two sheets of A4 for a desk in one's scope; the browser prints them."""
    scope = visit.scope(Permission.SEE_DEVICES)
    with visit.context.database.reading() as db:
        place = places.find_desk_place(db, desk)
    if place is None:
        raise NotFoundError()
    require_in(scope, place.unit_id)
    address = f"{visit.context.settings.web.public_url.rstrip('/')}/r/{desk}"
    # Error correction Q: a poster gets scratched and stained.
    return visit.page(
        "posters/poster.html", place=place, address=address, qr=qr_svg(address, error="q")
    )
