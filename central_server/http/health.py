"""For machines that watch us: alive, ready, and figures. Tells nothing of any unit.

How much comes in and when is still nobody's business: but for "alive", this machine is answered,
and whoever brings the token.
"""

from hmac import compare_digest
from typing import Literal

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from central_server.domain.errors import NotFoundError
from central_server.http.dependencies import Context
from central_server.http.error_pages import PROBLEMS
from central_server.services.context import ServerContext
from central_server.storage import schema, stream_lists
from event_protocol.enrolment import is_loopback

router = APIRouter(tags=["health"])
# What a proxy in front of us adds: the one who asks is somewhere else.
_PASSED_ON = ("x-forwarded-for", "forwarded", "via")

# Some minutes of projecting at the measured rate; behind by more, pages show the past as present.
MAX_EVENTS_BEHIND = 50_000


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Each part by itself; `broker` is null where this process takes nothing in."""

    status: Literal["ok", "not_ready"]
    database: bool
    migrations: bool
    broker: bool | None
    events_behind: int | None


@router.get("/healthz", operation_id="getHealth")
def healthz() -> Alive:
    """Whether the process answers at all."""
    return Alive()


def require_watcher(request: Request, context: Context) -> None:
    """For others there is nothing here."""
    token_file = context.settings.web.monitoring_token_file
    sent = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    # Read each time: a new token counts without a restart.
    token = "" if token_file is None else token_file.read_text().strip()
    if token and compare_digest(sent.encode(), token.encode()):
        return
    is_passed_on = any(name in request.headers for name in _PASSED_ON)
    if is_passed_on or request.client is None or not is_loopback(request.client.host):
        raise NotFoundError()


_WATCHED = [Depends(require_watcher)]


@router.get(
    "/readyz",
    operation_id="getReadiness",
    dependencies=_WATCHED,
    responses={503: {"model": Ready}, 404: PROBLEMS[404]},
)
def readyz(request: Request, response: Response, context: Context) -> Ready:
    """Whether it can do its work: database, schema, broker, and not too far behind."""
    is_linked = request.app.state.broker_is_linked
    broker = None if is_linked is None else bool(is_linked())
    migrations, behind = _read_database(context)
    is_ready = migrations is True and broker is not False and (behind or 0) <= MAX_EVENTS_BEHIND
    if not is_ready:
        response.status_code = 503
    return Ready(
        status="ok" if is_ready else "not_ready",
        database=migrations is not None,
        migrations=migrations is True,
        broker=broker,
        events_behind=behind,
    )


@router.get("/metrics", include_in_schema=False, dependencies=_WATCHED)
def metrics() -> Response:
    """Counters and gauges in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _read_database(context: ServerContext) -> tuple[bool | None, int | None]:
    """Whether the schema is current and how many events wait; `None` where that can't be read."""
    try:
        with context.database.reading() as db:
            if not schema.is_current(db):
                return False, None
            return True, stream_lists.events_behind(db)
    except SQLAlchemyError:
        return None, None
