"""Two workers against one: how fast a full queue of RabbitMQ's is taken into PostgreSQL.

Workers and projectors are the programs that an installation runs; the queue is full and all have
what they may hold before the clock starts. PostgreSQL does not wait for the disk here, so that
processors are compared and no disk. Broker, database and all workers share this machine.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import yaml

from bench.load import make_load, publish_in_other_process, write_load
from bench.report import Figure
from bench.server import SERVER_USER, make_context
from central_server.mqtt.ingest_service import IngestService
from central_server.mqtt.log_writer import LogWriter
from central_server.services.context import ServerContext
from central_server.services.keys import load_keys
from central_server.storage import projection
from tests.processes.ports import wait_until
from tests.processes.postgresql import PostgreSQL
from tests.processes.program import Program
from tests.processes.rabbitmq import RabbitMQ

EVENTS, DEVICES, RUNS = 20_000, 200, 3
LONGEST_S = 120.0
POLL_S = 0.02
# Workers, projectors.
CREWS = {"one": (1, 0), "two": (2, 0), "one each": (1, 1), "two each": (2, 2)}


def measure(folder: Path) -> list[Figure]:
    """Medians of interleaved runs, and their ratios."""
    rates: dict[str, list[float]] = {crew: [] for crew in CREWS}
    load, keys = folder / "load", folder / "keys"
    write_load(make_load(DEVICES, EVENTS, load_keys(keys).sealing_public), load)
    users = {SERVER_USER: SERVER_USER}
    with (
        PostgreSQL() as postgresql,
        RabbitMQ(folder / "broker", users, SERVER_USER) as broker,
    ):
        for run in range(RUNS):
            for crew, (workers, projectors) in CREWS.items():
                context = make_context(
                    folder / f"{crew}-{run}",
                    keys,
                    broker.port,
                    DEVICES,
                    database_url=postgresql.new_database(),
                    amqp=f"127.0.0.1:{broker.amqp_port}",
                )
                _fill_queue(context, load)
                rates[crew].append(_rate(context, folder / f"{crew}-{run}", workers, projectors))
                context.database.close()
    return _figures({crew: median(found) for crew, found in rates.items()})


def _figures(rates: dict[str, float]) -> list[Figure]:
    how = f"RabbitMQ, PostgreSQL (no fsync); median of {RUNS} runs of {EVENTS} queued events"
    return [
        Figure("one AMQP worker, append", rates["one"], "/s", note=how),
        Figure("two AMQP workers, append", rates["two"], "/s"),
        Figure("two workers ÷ one", rates["two"] / rates["one"], "", note="append"),
        Figure("one worker, one projector", rates["one each"], "/s", note="until all is projected"),
        Figure("two workers, two projectors", rates["two each"], "/s"),
        Figure("two of each ÷ one of each", rates["two each"] / rates["one each"], ""),
    ]


def _fill_queue(context: ServerContext, load: Path) -> None:
    """The first worker makes the queue; what is published then waits in it."""
    first = IngestService(context, LogWriter(context, None))
    first.start()
    wait_until(lambda: first.is_linked, 30, "the queue is made")
    first.stop()
    port = context.settings.broker.port
    publisher = publish_in_other_process(load, port, SERVER_USER, SERVER_USER)
    if publisher.wait(LONGEST_S) != 0:
        raise RuntimeError("the load could not be published")


def _rate(context: ServerContext, folder: Path, workers: int, projectors: int) -> float:
    with ExitStack() as stack:
        with _refusing(context):
            for command in [["ingest", "--no-project"]] * workers + [["project"]] * projectors:
                stack.enter_context(_start(context, folder, command))
            time.sleep(1)  # until all have what they may hold
        began = time.monotonic()
        is_done = _is_projected if projectors else _is_stored
        wait_until(lambda: is_done(context), LONGEST_S, "all is done", POLL_S)
        return EVENTS / (time.monotonic() - began)


@contextmanager
def _refusing(context: ServerContext) -> Iterator[None]:
    """Nobody can store anything within it."""
    with context.database.transaction() as db:
        db.connection().exec_driver_sql("LOCK TABLE device IN EXCLUSIVE MODE")
        yield


@contextmanager
def _start(context: ServerContext, folder: Path, command: list[str]) -> Iterator[Program]:
    settings = context.settings.model_dump(mode="json", exclude_none=True)
    settings["broker"]["password"] = SERVER_USER
    file = folder / "server.yaml"
    file.write_text(yaml.safe_dump(settings))
    arguments = [sys.executable, "-m", "central_server", *command, "--config", str(file)]
    log = folder / f"{command[0]}-{time.monotonic_ns()}.log"
    with Program(arguments, log) as program:
        program.wait_for_output("projecting" if command[0] == "project" else "linked to broker", 60)
        yield program


def _is_stored(context: ServerContext) -> bool:
    with context.database.reading() as db:
        through = "SELECT coalesce(sum(received_through), 0) FROM stream"
        return bool(db.connection().exec_driver_sql(through).scalar_one() >= EVENTS)


def _is_projected(context: ServerContext) -> bool:
    if not _is_stored(context):
        return False
    with context.database.reading() as db:
        return not projection.list_behind(db)
