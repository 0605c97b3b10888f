"""The commands of `central-server`: reads clock and settings, builds the parts, runs them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from central_server.domain.yaml_lines import WrongFileError
from central_server.settings import ServerSettings, load_settings
from central_server.storage import schema
from central_server.storage.unit_of_work import Database

WRONG_INPUT = 2  # exit code when what was given can't be used; nothing of ours is broken

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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
def migrate(config: ConfigOption = None) -> None:
    """Bring the database's schema up to this version."""
    settings = settings_or_exit(config)
    database = open_database(settings)
    schema.migrate(database)
    database.close()
    typer.echo("the schema is current")


def settings_or_exit(file: Path | None) -> ServerSettings:
    """The settings, or a message that names file, line and setting, and exit code 2."""
    try:
        return load_settings(file)
    except WrongFileError as error:
        typer.echo(f"central-server: wrong configuration\n{error}", err=True)
        raise typer.Exit(WRONG_INPUT) from None


def open_database(settings: ServerSettings) -> Database:
    """The configured database; the folder of its own SQLite file is made."""
    settings.directory.mkdir(parents=True, exist_ok=True)
    return Database(settings.database_address)


def main() -> None:
    """Entry point of the console script."""
    app()
