"""`central-server`: joins the commands, and gives them the clock."""

import typer

from central_server.clock import read_clock
from central_server.commands import opening, proving, registering, running, safekeeping, securing
from central_server.services.context import ServerContext
from central_server.settings import ServerSettings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(running.serve)
app.command()(running.ingest)
app.command()(running.project)
app.command()(running.migrate)
app.command("create-user")(registering.create_user)
app.command("change-user")(registering.change_user)
app.command("load-units")(registering.load_units)
app.command()(registering.pair)
app.command()(securing.certify)
app.command("prepare-broker")(securing.prepare_broker)
app.command("renew-authority")(securing.renew_authority)
app.command()(securing.revoke)
app.command()(proving.rebuild)
app.command()(running.simulate)
app.command("verify-log")(proving.verify_log)
app.command()(proving.anchor)
app.command("export-log")(proving.export_log)
app.command()(safekeeping.backup)
app.command()(safekeeping.restore)
app.command("make-backup-key")(safekeeping.make_backup_key)
app.command("rotate-keys")(safekeeping.rotate_keys)
app.command("erase-feedback")(safekeeping.erase_feedback)


def build(settings: ServerSettings) -> ServerContext:
    """The server's parts by the real clock."""
    return opening.build(settings, read_clock)


@app.callback()
def central_server(command: typer.Context) -> None:
    """The province's side: event log, sessions, flags, pages."""
    command.obj = read_clock


def main() -> None:
    """Entry point of the console script."""
    app()
