"""Commands on who is let in: certificates of our own, a broker's set-up, boxes that got lost."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer

from central_server.commands.opening import ConfigOption, opened
from central_server.mqtt.dynamic_security import first_state
from central_server.services import broker_accounts, lost_boxes
from central_server.services.authority import (
    Authority,
    find_authority,
    make_authority,
)
from central_server.services.context import ServerContext
from central_server.storage.private_files import write_private

NamesArgument = Annotated[
    list[str], typer.Argument(help="Names and IP addresses by which devices reach it.")
]
FolderOption = Annotated[Path, typer.Option("--into", help="Folder for the files.")]


def certify(
    command: typer.Context, names: NamesArgument, into: FolderOption, config: ConfigOption = None
) -> None:
    """Make key and certificate for a server or broker, signed by the server's own authority.

    The authority is made at first. Also renews: run it again, then let the server read the files.
    """
    with opened(command, config) as context:
        authority = _require_authority(context)
        _write_credentials(context, authority, names, into)
    typer.echo(f"{into}: host.key, host.crt, authority.crt; authority {authority.fingerprint}")


def prepare_broker(
    command: typer.Context, names: NamesArgument, into: FolderOption, config: ConfigOption = None
) -> None:
    """Write all that a Mosquitto needs beside configs/mosquitto/: certificate and accounts.

    Once: from then on the server tells the broker itself who may connect.
    """
    with opened(command, config) as context:
        _write_credentials(context, _require_authority(context), names, into)
        server = context.settings.broker.username
        own_hash = broker_accounts.hash_password(broker_accounts.own_password(context))
        state = first_state(server, own_hash, broker_accounts.device_hashes(context))
        write_private(into / "dynamic-security.json", orjson.dumps(state))
    typer.echo(f"{into}: host.key, host.crt, authority.crt, dynamic-security.json")


def renew_authority(command: typer.Context, config: ConfigOption = None) -> None:
    """Make a new authority; the former one stays trusted, and boxes learn the new one in time."""
    with opened(command, config) as context:
        authority = make_authority(context.settings.directory, context.now())
    typer.echo(f"authority {authority.fingerprint}; now certify brokers and servers again")


def revoke(
    command: typer.Context,
    device: Annotated[str, typer.Argument(help="The box that is let in no more.")],
    reason: Annotated[str, typer.Option(help="Goes into the server's log.")],
    lost_since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M"], help="UTC; what arrived since then is named as doubtful."
        ),
    ] = None,
    replacement: Annotated[
        str | None, typer.Option(help="A new name: takes over the desks; a pairing code is shown.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Refuse a lost or stolen box from now on, for good, and let another take its desks."""
    with opened(command, config) as context:
        since = None if lost_since is None else lost_since.replace(tzinfo=UTC)
        doubtful = lost_boxes.revoke(context, device, reason=reason, lost_since=since)
        for one in doubtful:
            typer.echo(f"doubtful: epoch {one.epoch}, events {one.first} to {one.last}")
        typer.echo(f"{device} is refused")
        if replacement is not None:
            typer.echo(lost_boxes.replace(context, device, replacement))


def _require_authority(context: ServerContext) -> Authority:
    directory = context.settings.directory
    return find_authority(directory) or make_authority(directory, context.now())


def _write_credentials(
    context: ServerContext, authority: Authority, names: list[str], into: Path
) -> None:
    credentials = authority.make_host(names, context.now())
    into.mkdir(parents=True, exist_ok=True)
    write_private(into / "host.key", credentials.key.encode())
    (into / "host.crt").write_text(credentials.chain)
    (into / "authority.crt").write_text(authority.trusted)
