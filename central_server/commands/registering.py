"""Commands on who exists: users, units and desks, pairing codes."""

import sys
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated

import typer

from central_server.commands.opening import ConfigOption, opened
from central_server.domain.permissions import Role
from central_server.services import accounts, enrolment
from central_server.services import registry as registry_service

_PASSWORD_BYTES = 15


def create_user(
    command: typer.Context,
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
    with opened(command, config) as context:
        accounts.create_user(context, user_id=name, password=password, role=role, unit_id=unit)
    typer.echo(f"password: {password}" if generate else f"user {name} created")


def change_user(
    command: typer.Context,
    name: Annotated[str, typer.Argument(help="The log-in name.")],
    role: Annotated[Role | None, typer.Option(help="Another role.")] = None,
    unit: Annotated[str | None, typer.Option(help="Another unit.")] = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Close the account, or open it again.")
    ] = None,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="Make a password and print it once.")
    ] = False,
    drop_second_factor: Annotated[
        bool,
        typer.Option("--drop-second-factor", help="The phone and all recovery codes are lost."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Change a user; every log-in session of the account ends."""
    password = token_urlsafe(_PASSWORD_BYTES) if new_password else None
    with opened(command, config) as context:
        accounts.change_user(
            context,
            name,
            role=role,
            unit_id=unit,
            is_disabled=disabled,
            password=password,
            drop_second_factor=drop_second_factor,
        )
    typer.echo(f"user {name} changed" if password is None else f"password: {password}")


def load_units(
    command: typer.Context,
    file: Annotated[Path, typer.Argument(help="As configs/units.example.yaml.")],
    config: ConfigOption = None,
) -> None:
    """Add and change units, devices and desks as a file says, whole or not at all."""
    with opened(command, config) as context:
        changed = registry_service.load_units(context, file)
    typer.echo(f"{changed} units, devices and desks are new or changed")


def pair(
    command: typer.Context,
    device: Annotated[str, typer.Argument(help="A device that load-units named.")],
    config: ConfigOption = None,
) -> None:
    """Print a one-time code; the installer types it into that device within a day."""
    with opened(command, config) as context:
        typer.echo(enrolment.make_code(context, device))


def _read_password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")
