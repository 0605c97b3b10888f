"""For machines that watch us: alive, ready, and figures. Tells nothing of any unit."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from central_server.http.dependencies import Context
from central_server.services.context import ServerContext
from central_server.storage import schema, stream_lists

router = APIRouter(tags=["health"])

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


@router.get("/readyz", operation_id="getReadiness", responses={503: {"model": Ready}})
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


@router.get("/metrics", include_in_schema=False)
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
