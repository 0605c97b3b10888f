"""Commands that run on: pages and intake, an extra worker, a simulated fleet; and migration."""

import signal
import threading
from contextlib import ExitStack
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from central_server.commands.opening import ConfigOption, fail, opened
from central_server.mqtt.broker import BrokerFailedError
from central_server.services import logs, rule_sets
from central_server.simulation import run as fleet_run
from central_server.simulation.publisher import FleetError
from central_server.storage.single import TakenError


class Site(StrEnum):
    """The applications that can be served by themselves."""

    INTERNAL, PUBLIC = "internal", "public"


def serve(
    command: typer.Context,
    config: ConfigOption = None,
    only: Annotated[
        Site | None,
        typer.Option(help="These pages and nothing else; others take in, project and watch."),
    ] = None,
) -> None:
    """Migrate, then run pages, intake, timers and, if so configured, the embedded broker."""
    # Pages and notifications take two seconds to import; the short commands do without.
    from central_server import serving

    logs.write_json_logs()
    with opened(command, config, migrate_first=only is None) as context:
        try:
            listeners = serving.listen(context, only)
            if only is None:
                serving.serve(context, listeners, _announce)
            else:
                serving.serve_pages(context, listeners, _announce)
        except (serving.PortTakenError, BrokerFailedError) as error:
            fail(str(error))


def _announce(address: str) -> None:
    typer.echo(f"serving at {address}")


def ingest(
    command: typer.Context,
    config: ConfigOption = None,
    worker: Annotated[
        str, typer.Option(help="Tells several such processes apart at an MQTT broker.")
    ] = "ingest",
    projects: Annotated[
        bool, typer.Option("--project/--no-project", help="Project too; or others do.")
    ] = True,
    timers: Annotated[
        bool,
        typer.Option(
            "--timers", help="Watch over silence, retention and the like, if nobody else does yet."
        ),
    ] = False,
) -> None:
    """Take in events without pages, so that taking in goes on while `serve` is away.

    By MQTT each worker receives everything; what another one has filed already changes nothing. By
    AMQP (`broker.amqp`) they share what comes.
    """
    from central_server import working

    logs.write_json_logs()
    with opened(command, config) as context, ExitStack() as running:
        service = running.enter_context(working.taking_in(context, worker, projects=projects))
        if timers:
            from central_server import serving

            rule_sets.activate(context)
            running.enter_context(serving.watching(context, service))
        typer.echo("taking in")
        working.wait_for_signal()


def project(command: typer.Context, config: ConfigOption = None) -> None:
    """Project what others take in. On PostgreSQL any number of these share the devices."""
    from central_server import working

    logs.write_json_logs()
    with opened(command, config) as context:
        try:
            with working.projecting(context):
                typer.echo("projecting")
                working.wait_for_signal()
        except TakenError:
            fail("another process projects; several can on PostgreSQL only")


def migrate(command: typer.Context, config: ConfigOption = None) -> None:
    """Bring the database's schema up to this version."""
    with opened(command, config, migrate_first=True):
        typer.echo("the schema is current")


def simulate(
    command: typer.Context,
    desks: Annotated[int, typer.Option(min=1, help="How many desks, two to a box.")] = 6,
    days: Annotated[int, typer.Option(min=1, help="How many days of history.")] = 30,
    seed: Annotated[int, typer.Option(help="The same seed tells the same days again.")] = 1,
    first_day: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First day; else the last one is today."),
    ] = None,
    dishonest: Annotated[
        int, typer.Option(min=0, help="How many of them game their measurement.")
    ] = 0,
    under: Annotated[
        str | None, typer.Option(help="An existing unit for the communes; else a new province.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Go on at real pace until stopped.")] = False,
    config: ConfigOption = None,
) -> None:
    """A fleet of simulated desks: registered, paired, and heard over MQTT, as real ones are."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with opened(command, config) as context:
        today = fleet_run.local_day(context)
        begin = today - timedelta(days=days - 1) if first_day is None else first_day.date()
        plan = fleet_run.Plan(desks, days, seed, begin, dishonest, under, live)
        try:
            fleet_run.simulate(context, plan, Console(stderr=True), stopping)
        except FleetError as error:
            fail(str(error))
