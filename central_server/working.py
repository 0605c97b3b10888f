"""Intake and projection, each running by itself: all that a worker is, without pages or timers."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from central_server.mqtt.collector import tune_collector
from central_server.mqtt.ingest_service import IngestService
from central_server.mqtt.projection_thread import ProjectionThread
from central_server.mqtt.writer_link import WriterProcess
from central_server.services import metrics, projector
from central_server.services.background import Repeating
from central_server.services.context import ServerContext
from central_server.storage.single import OneOfAll

LOOK_EVERY_S = 0.1  # how soon a projector sees what others took in


@contextmanager
def taking_in(
    context: ServerContext, worker: str | None = None, *, projects: bool = True
) -> Iterator[IngestService]:
    """The intake, running; `worker` names an extra process beside the main one."""
    writer = WriterProcess(context.settings, projects=projects)
    service = IngestService(context, writer, worker=worker)
    tune_collector()
    service.start()
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def projecting(context: ServerContext) -> Iterator[None]:
    """Projection alone, of whatever is behind; raises `TakenError` on SQLite if another does so."""
    with ExitStack() as running:
        if context.database.is_sqlite:
            turn = running.enter_context(OneOfAll(context.database, "projector"))
            turn.require()
        project = partial(projector.project_devices, context, shares=True)
        thread = ProjectionThread(context, project, metrics.count_projection)
        tune_collector()
        thread.start()
        running.callback(thread.stop)
        look = Repeating("look", LOOK_EVERY_S, thread.add_behind)
        running.callback(look.start().stop)
        yield


def wait_for_signal() -> None:
    """Returns on SIGTERM or SIGINT, for processes without pages."""

    async def wait() -> None:
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await ended.wait()

    asyncio.run(wait())
