"""The commands of `central-server`: reads clock and settings, builds the parts, runs them."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress
from sqlalchemy.exc import OperationalError

from central_server.domain.errors import DomainError
from central_server.domain.permissions import Role
from central_server.domain.yaml_lines import WrongFileError
from central_server.mqtt.broker import BrokerFailedError, free_port
from central_server.services import accounts, enrolment, logs, verification
from central_server.services import rebuild as rebuild_service
from central_server.services import registry as registry_service
from central_server.services.context import ServerContext
from central_server.services.evidence import files_of
from central_server.services.evidence_verification import verify_pictures
from central_server.services.keys import load_keys
from central_server.settings import ServerSettings, load_settings
from central_server.simulation import run as fleet_run
from central_server.simulation.publisher import FleetError
from central_server.storage import schema
from central_server.storage.unit_of_work import Database
from web.pages import translate

DEVIATES = 1  # exit code of verify-log when the log is not what was written
WRONG_INPUT = 2  # exit code when what was given can't be used; nothing of ours is broken
_PASSWORD_BYTES = 15

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML file with settings; see configs/.")
]


def read_clock() -> datetime:
    """The one place where the server reads the time."""
    return datetime.now(UTC)  # noqa: TID251 - main.py owns the clock


@app.callback()
def central_server() -> None:
    """The province's side: event log, sessions, flags, pages."""


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Migrate, then run pages, intake, timers and, if so configured, the embedded broker."""
    # Pages and notifications take two seconds to import; the short commands do without.
    from central_server import serving

    logs.write_json_logs()
    with opened(config, migrate_first=True) as context:
        try:
            listeners = serving.listen(context)
            serving.serve(context, listeners, lambda at: typer.echo(f"serving at {at}"))
        except (serving.PortTakenError, BrokerFailedError) as error:
            _fail(str(error))


@app.command()
def ingest(
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
    with opened(config) as context, serving.taking_in(context, worker):
        typer.echo("taking in")
        serving.wait_for_signal()


@app.command()
def migrate(config: ConfigOption = None) -> None:
    """Bring the database's schema up to this version."""
    with opened(config, migrate_first=True):
        typer.echo("the schema is current")


@app.command("create-user")
def create_user(
    name: Annotated[str, typer.Argument(help="The log-in name.")],
    role: Annotated[Role, typer.Option(help="What the user may do.")],
    unit: Annotated[str, typer.Option(help="The unit below which the user may do it.")],
    config: ConfigOption = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Make a password and print it once.")
    ] = False,
) -> None:
    """Create a user; the password is asked for, or read from a pipe, or made."""
    password = token_urlsafe(_PASSWORD_BYTES) if generate else _read_password()
    with opened(config) as context:
        accounts.create_user(context, user_id=name, password=password, role=role, unit_id=unit)
    typer.echo(f"password: {password}" if generate else f"user {name} created")


@app.command("load-units")
def load_units(
    file: Annotated[Path, typer.Argument(help="As configs/units.example.yaml.")],
    config: ConfigOption = None,
) -> None:
    """Add and change units, devices and desks as a file says, whole or not at all."""
    with opened(config) as context:
        changed = registry_service.load_units(context, file)
    typer.echo(f"{changed} units, devices and desks are new or changed")


@app.command()
def pair(
    device: Annotated[str, typer.Argument(help="A device that load-units named.")],
    config: ConfigOption = None,
) -> None:
    """Print a one-time code; the installer types it into that device within a day."""
    with opened(config) as context:
        typer.echo(enrolment.make_code(context, device))


@app.command()
def rebuild(config: ConfigOption = None) -> None:
    """Derive sessions, flags, feedback and days again from the logs."""
    with opened(config) as context, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("streams", total=None)
        rebuild_service.rebuild(
            context, lambda done, total: progress.update(task, completed=done, total=total)
        )
    typer.echo("derived again")


@app.command()
def simulate(
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
    with opened(config) as context:
        today = fleet_run.local_day(context)
        begin = today - timedelta(days=days - 1) if first_day is None else first_day.date()
        plan = fleet_run.Plan(desks, days, seed, begin, dishonest, under, live)
        try:
            fleet_run.simulate(context, plan, Console(stderr=True), stopping)
        except FleetError as error:
            _fail(str(error))


@app.command("verify-log")
def verify_log(config: ConfigOption = None) -> None:
    """Check every chain, signature and picture; names what deviates; exit code 1 if anything."""
    deviating = 0
    with (
        opened(config) as context,
        context.database.reading() as db,
        Progress(console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("records", total=verification.count_records(db))
        chains = verification.verify(db, lambda: progress.advance(task))
        pictures = verify_pictures(db, files_of(context))
        for deviation in chain(chains, pictures):
            deviating += 1
            typer.echo(str(deviation))
    typer.echo(f"{deviating} deviations" if deviating else "the logs are what was written")
    if deviating:
        raise typer.Exit(DEVIATES)


@contextmanager
def opened(config: Path | None, *, migrate_first: bool = False) -> Iterator[ServerContext]:
    """The server's parts; what a person can mend ends as one message and exit code 2."""
    try:
        settings = load_settings(config)
        try:
            context = build(settings)
        except OSError as error:
            _fail(f"{error.filename or settings.directory}: {error.strerror}")
        try:
            if migrate_first:
                schema.migrate(context.database)
            else:
                _require_current_schema(context.database)
            yield context
        finally:
            context.database.close()
    except WrongFileError as error:
        _fail(f"wrong configuration\n{error}")
    except OperationalError as error:
        _fail(f"the database refuses: {error.orig}")
    except DomainError as error:
        _fail(_in_words(error))


def build(settings: ServerSettings) -> ServerContext:
    """The parts that every command needs; the server's folder and keys are made at first."""
    settings.directory.mkdir(parents=True, exist_ok=True)
    broker = settings.broker
    if broker.embedded and broker.port == 0:
        chosen = broker.model_copy(update={"port": free_port(broker.host)})
        settings = settings.model_copy(update={"broker": chosen})
    database = Database(settings.database_address)
    return ServerContext(settings, database, load_keys(settings.directory), read_clock)


def _in_words(error: DomainError) -> str:
    """The sentence that pages show, and what it does not name itself."""
    sentence = translate("en", error.code, **error.details)
    more = [f"{k} {v}" for k, v in error.details.items() if str(v) not in sentence]
    return f"{sentence} ({', '.join(more)})" if more else sentence


def _require_current_schema(database: Database) -> None:
    with database.reading() as db:
        is_current = schema.is_current(db)
    if not is_current:
        _fail("the database's schema is not current: run `central-server migrate`")


def _read_password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")


def _fail(message: str) -> NoReturn:
    typer.echo(f"central-server: {message}", err=True)
    raise typer.Exit(WRONG_INPUT) from None


def main() -> None:
    """Entry point of the console script."""
    app()
