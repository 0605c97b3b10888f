"""What every command begins with: settings, database, keys; and how it says what went wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy.exc import OperationalError

from central_server.domain.errors import DomainError
from central_server.domain.yaml_lines import WrongFileError
from central_server.mqtt.broker import free_port
from central_server.services.context import ServerContext
from central_server.services.keys import load_keys
from central_server.settings import ServerSettings, load_settings
from central_server.storage import schema
from central_server.storage.unit_of_work import Database
from web.pages import translate

WRONG_INPUT = 2  # exit code when what was given can't be used; nothing of ours is broken

Clock = Callable[[], datetime]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML file with settings; see configs/.")
]


@contextmanager
def opened(
    command: typer.Context, config: Path | None, *, migrate_first: bool = False
) -> Iterator[ServerContext]:
    """The server's parts, by the clock that main.py left with the command."""
    with said_in_words():
        settings = load_settings(config)
        try:
            context = build(settings, command.obj)
        except OSError as error:
            fail(f"{error.filename or settings.directory}: {error.strerror}")
        try:
            if migrate_first:
                schema.migrate(context.database)
            else:
                _require_current_schema(context.database)
            yield context
        finally:
            context.database.close()


@contextmanager
def said_in_words() -> Iterator[None]:
    """What a person can mend ends as one message and exit code 2."""
    try:
        yield
    except WrongFileError as error:
        fail(f"wrong configuration\n{error}")
    except OperationalError as error:
        fail(f"the database refuses: {error.orig}")
    except DomainError as error:
        fail(_in_words(error))


def build(settings: ServerSettings, now: Clock) -> ServerContext:
    """The parts that every command needs; the server's folder and keys are made at first."""
    settings.directory.mkdir(parents=True, exist_ok=True)
    broker = settings.broker
    if broker.embedded and broker.port == 0:
        chosen = broker.model_copy(update={"port": free_port(broker.host)})
        settings = settings.model_copy(update={"broker": chosen})
    database = Database(settings.database_address)
    return ServerContext(settings, database, load_keys(settings.directory), now)


def fail(message: str) -> NoReturn:
    """Ends the command with that sentence."""
    typer.echo(f"central-server: {message}", err=True)
    raise typer.Exit(WRONG_INPUT) from None


def _in_words(error: DomainError) -> str:
    """The sentence that pages show, and what it does not name itself."""
    sentence = translate("en", error.code, **error.details)
    more = [f"{k} {v}" for k, v in error.details.items() if str(v) not in sentence]
    return f"{sentence} ({', '.join(more)})" if more else sentence


def _require_current_schema(database: Database) -> None:
    with database.reading() as db:
        is_current = schema.is_current(db)
    if not is_current:
        fail("the database's schema is not current: run `central-server migrate`")
