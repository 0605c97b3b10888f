"""Commands that run on: pages and intake, an extra worker, a simulated fleet; and migration."""

import signal
import threading
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console

from central_server.commands.opening import ConfigOption, fail, opened
from central_server.mqtt.broker import BrokerFailedError
from central_server.services import logs
from central_server.simulation import run as fleet_run
from central_server.simulation.publisher import FleetError


def serve(command: typer.Context, config: ConfigOption = None) -> None:
    """Migrate, then run pages, intake, timers and, if so configured, the embedded broker."""
    # Pages and notifications take two seconds to import; the short commands do without.
    from central_server import serving

    logs.write_json_logs()
    with opened(command, config, migrate_first=True) as context:
        try:
            listeners = serving.listen(context)
            serving.serve(context, listeners, lambda at: typer.echo(f"serving at {at}"))
        except (serving.PortTakenError, BrokerFailedError) as error:
            fail(str(error))


def ingest(
    command: typer.Context,
    config: ConfigOption = None,
    worker: Annotated[
        str, typer.Option(help="Tells several such processes apart at the broker.")
    ] = "ingest",
) -> None:
    """Take in events without pages, so that taking in goes on while `serve` is away.

    Each worker receives everything; what another one has filed already changes nothing.
    """
    from central_server import serving

    logs.write_json_logs()
    with opened(command, config) as context, serving.taking_in(context, worker):
        typer.echo("taking in")
        serving.wait_for_signal()


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
