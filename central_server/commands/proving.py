"""Commands on the logs: verify them, derive everything from them again."""

from itertools import chain

import typer
from rich.console import Console
from rich.progress import Progress

from central_server.commands.opening import ConfigOption, opened
from central_server.services import rebuild as rebuild_service
from central_server.services import verification
from central_server.services.evidence import files_of
from central_server.services.evidence_verification import verify_pictures

DEVIATES = 1  # exit code of verify-log when the log is not what was written


def verify_log(command: typer.Context, config: ConfigOption = None) -> None:
    """Check every chain, signature and picture; names what deviates; exit code 1 if anything."""
    deviating = 0
    with (
        opened(command, config) as context,
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


def rebuild(command: typer.Context, config: ConfigOption = None) -> None:
    """Derive sessions, flags, feedback and days again from the logs."""
    with opened(command, config) as context, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("streams", total=None)
        rebuild_service.rebuild(
            context, lambda done, total: progress.update(task, completed=done, total=total)
        )
    typer.echo("derived again")
