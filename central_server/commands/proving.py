"""Commands on the logs: verify, anchor and export them, derive everything from them again."""

import os
import sys
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from central_server.commands.opening import ConfigOption, fail, opened
from central_server.services import anchors, log_export, verification
from central_server.services import rebuild as rebuild_service
from central_server.services.context import ServerContext
from central_server.services.evidence import files_of
from central_server.services.evidence_verification import verify_pictures
from central_server.storage import log_records
from event_protocol.canonical import canonical_bytes
from event_protocol.server_heads import public_hex

DEVIATES = 1  # exit code of verify-log when the log is not what was written


def verify_log(
    command: typer.Context,
    config: ConfigOption = None,
    copies: Annotated[
        Path | None,
        typer.Option(help="Folder of signed heads that were kept elsewhere; else our own folder."),
    ] = None,
) -> None:
    """Check every chain, signature and picture; names what deviates; exit code 1 if anything."""
    with opened(command, config) as context:
        deviating = print_deviations(context, copies)
    if deviating:
        raise typer.Exit(DEVIATES)


def print_deviations(context: ServerContext, copies: Path | None = None) -> int:
    """Verifies logs and pictures; how many records deviate, each printed."""
    deviating = 0
    with (
        context.database.reading() as db,
        Progress(console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("records", total=log_records.count_records(db))
        trusted = [public_hex(context.keys.signing)]
        heads = anchors.read_copies(copies or context.settings.anchors_directory)
        chains = verification.verify(db, trusted, heads, lambda: progress.advance(task))
        pictures = verify_pictures(db, files_of(context))
        for deviation in chain(chains, pictures):
            deviating += 1
            typer.echo(str(deviation))
    typer.echo(f"{deviating} deviations" if deviating else "the logs are what was written")
    return deviating


def anchor(command: typer.Context, config: ConfigOption = None) -> None:
    """Sign the log's head now, beside the daily ones, and print it: keep it off this machine."""
    with opened(command, config) as context:
        head = anchors.anchor(context)
    if head is None:
        fail("the log is empty")
    typer.echo(canonical_bytes(head.model_dump(mode="json")).decode())


def export_log(
    command: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write it; - is standard output.")],
    config: ConfigOption = None,
) -> None:
    """Write both logs as JSON lines; `python -m event_protocol.verify_export FILE` verifies them.

    On record in the log, as every look at it.
    """
    with opened(command, config) as context, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("records", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        try:
            if str(file) == "-":
                lines = log_export.export_log(
                    context, sys.stdout.buffer, by="command", progress=show
                )
            else:
                # What the log says of people's work is for its readers alone.
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as target:
                    lines = log_export.export_log(context, target, by="command", progress=show)
        except OSError as error:
            fail(f"{file}: {error.strerror}")
    typer.echo(f"{lines} lines", err=True)


def rebuild(command: typer.Context, config: ConfigOption = None) -> None:
    """Derive sessions, flags, feedback and days again from the logs; says what it could not."""
    with opened(command, config) as context, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("streams", total=None)
        kept = rebuild_service.rebuild(
            context, lambda done, total: progress.update(task, completed=done, total=total)
        )
    typer.echo("derived again")
    if kept.streams:
        rows = ", ".join(f"{count} rows of {name}" for name, count in kept.rows.items())
        typer.echo(
            f"not derived again, but kept: {rows}; retention has dropped the first events of"
            f" {kept.streams} epochs, see `events.dropped` in the log"
        )
