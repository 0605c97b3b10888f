"""Commands that keep a server from being lost: backups, and keys that change."""

import os
from pathlib import Path
from typing import Annotated

import typer
from nacl.public import PrivateKey
from rich.console import Console
from rich.progress import Progress

from central_server.commands.opening import ConfigOption, fail, opened, said_in_words
from central_server.commands.proving import DEVIATES, print_deviations
from central_server.services import backups, key_rotation, restoration, retention
from central_server.services.backups import BackupError
from central_server.settings import load_settings
from central_server.storage.database_copies import Told
from central_server.storage.private_files import create_private

_KEY_BYTES = 32


def backup(
    command: typer.Context,
    target: Annotated[Path, typer.Argument(help="Folder of backups, best on another machine.")],
    config: ConfigOption = None,
    keep: Annotated[int, typer.Option(min=1, help="How many backups stay there.")] = 7,
    seal_to: Annotated[
        str | None, typer.Option(help="Public key, hex (see make-backup-key), for our keys.")
    ] = None,
) -> None:
    """Copy database, keys and pictures while the server runs; pictures only if they are new.

    The database is not sealed: keep the folder from strangers.
    """
    recipient = None if seal_to is None else _key(seal_to, "--seal-to")
    with opened(command, config) as context, Progress(console=Console(stderr=True)) as progress:
        try:
            folder = backups.back_up(
                context, target, keep=keep, recipient=recipient, tell=_shown(progress)
            )
        except BackupError as error:
            fail(str(error))
        except OSError as error:
            fail(f"{error.filename or target}: {error.strerror}")
    typer.echo(f"backed up to {folder}")


def restore(
    command: typer.Context,
    source: Annotated[Path, typer.Argument(help="A backup, or the folder of backups.")],
    config: ConfigOption = None,
    key_file: Annotated[
        Path | None, typer.Option(help="The private key, if the backup's keys are sealed.")
    ] = None,
) -> None:
    """Bring a server back where none is; then verify its logs, exit code 1 if they deviate."""
    with said_in_words():
        settings = load_settings(config)
    with Progress(console=Console(stderr=True)) as progress:
        try:
            private = None if key_file is None else _key(key_file.read_text(), str(key_file))
            context = restoration.restore(
                settings, source, command.obj, private_key=private, tell=_shown(progress)
            )
        except BackupError as error:
            fail(str(error))
        except OSError as error:
            fail(f"{error.filename or source}: {error.strerror}")
    typer.echo("restored; devices send again what the backup does not know")
    try:
        deviating = print_deviations(context)
    finally:
        context.database.close()
    if deviating:
        raise typer.Exit(DEVIATES)


def make_backup_key(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; not on this server.")],
) -> None:
    """Make a key pair for `backup --seal-to`, and print the public key."""
    private = PrivateKey.generate()
    try:
        with create_private(file) as target:
            target.write(bytes(private).hex().encode() + b"\n")
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    typer.echo(bytes(private.public_key).hex())


def rotate_keys(
    command: typer.Context,
    config: ConfigOption = None,
    retire: Annotated[
        bool, typer.Option("--retire", help="Make no new keys; drop former ones nothing needs.")
    ] = False,
) -> None:
    """Sign and be sealed to with new keys from now on, without a stop. Make a backup afterwards:
    devices do not believe a server that comes back with keys from before.
    """
    with opened(command, config) as context:
        if retire:
            gone = key_rotation.retire(context, by="command")
            typer.echo(f"retired: {', '.join(gone) or 'none'}")
            return
        key_rotation.rotate(context, by="command")
    typer.echo("new keys are in use; make a backup now")


def erase_feedback(
    command: typer.Context,
    feedback: Annotated[str, typer.Argument(help="Its id, or the code on its receipt.")],
    reason: Annotated[str, typer.Option(help="Who asked, and why; on record.", prompt=True)],
    config: ConfigOption = None,
) -> None:
    """Erase what somebody said, on request: words, contact, time, link. The chains stay valid."""
    with opened(command, config) as context:
        feedback_id = retention.erase(context, feedback, by="command", reason=reason)
    typer.echo(f"erased: {feedback_id}; backups that hold it go with their age")


def _shown(progress: Progress) -> Told:
    task = progress.add_task("", total=None)
    return lambda part: progress.update(task, description=part[:60])


def _key(text: str, name: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        fail(f"{name}: a key is 64 hexadecimal digits")
    return key
