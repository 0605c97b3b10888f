"""The commands of `edge-agent`: reads the command line and the clock, builds and runs the parts.

Each command imports its own parts: pages and network take a second that `read-qr` need not wait.
"""

import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from edge_agent.settings import EdgeSettings, SettingsError, load_settings

VERSION = version("onestop-desk-watch")
FOUND_WRONG = 1  # exit code when the self-test found something to mend
WRONG_INPUT = 2  # exit code when what was given can't be used; nothing of ours is broken

app = typer.Typer(
    help="Watches a one-stop desk: camera and QR codes become events.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def analyze(
    video: Annotated[Path, typer.Argument(help="A video file.")],
    zones: Annotated[Path, typer.Option(help="YAML or JSON file with the desk's zones.")],
    empty: Annotated[
        str | None,
        typer.Option(metavar="START-END", help="Seconds in which every zone is empty, as in 0-3.5"),
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="Write the lines here, not to standard output.")
    ] = None,
) -> None:
    """Run the desk's pipeline on a file, at full speed and by the file's own clock."""
    from edge_agent.runtime.analyze import AnalysisError, analyze_video, parse_span

    try:
        analyze_video(
            video,
            zones_file=zones,
            empty=None if empty is None else parse_span(empty),
            jsonl=jsonl,
            new_id=uuid4,
            report=lambda message: typer.echo(f"edge-agent analyze: {message}", err=True),
        )
    except AnalysisError as error:
        typer.echo(f"edge-agent analyze: {error}", err=True)
        raise typer.Exit(WRONG_INPUT) from None


@app.command("read-qr")
def read_qr(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Still images.")],
) -> None:
    """Print one JSON line for each image: the texts of its QR codes."""
    from edge_agent.runtime.read_codes import read_images

    all_readable = True
    for answer in read_images(images):
        typer.echo(answer.to_json())
        all_readable = all_readable and answer.error is None
    if not all_readable:
        raise typer.Exit(WRONG_INPUT)


ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="The settings file (YAML); none: EDGE_… variables.")
]


@app.command()
def run(config: ConfigFile = None) -> None:
    """Watch the cameras, serve kiosk, screen and wizard, send events, until stopped."""
    _run_daemon(config, renew_pin=False)


@app.command()
def setup(config: ConfigFile = None) -> None:
    """Like `run`, with a new PIN for the installer's wizard."""
    _run_daemon(config, renew_pin=True)


@app.command()
def enrol(
    server: Annotated[str, typer.Option(help="The server's address, https://…")],
    config: ConfigFile = None,
    code: Annotated[
        str | None,
        typer.Option(help="The one-time pairing code; better typed when asked, or by a pipe."),
    ] = None,
) -> None:
    """Trade a pairing code for this box's name and keys, without the wizard."""
    from edge_agent.delivery.identity import Identity, IdentityError

    settings = _load_settings(config)
    try:
        settings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        typed = _read_code() if code is None else code
        enrolment = Identity(settings.directory).enrol(server, typed, VERSION)
    except (IdentityError, OSError) as error:
        raise _refuse("enrol", error) from None
    typer.echo(f"edge-agent: paired as {enrolment.device}")


@app.command()
def doctor(config: ConfigFile = None) -> None:
    """Try every part; say what is wrong and how to mend it. Exit code 1 if anything is."""
    from edge_agent.runtime.doctor import examine

    is_well = True
    for finding in examine(_load_settings(config), _now):
        typer.echo(str(finding))
        is_well = is_well and finding.is_ok
    raise typer.Exit(0 if is_well else FOUND_WRONG)


def _run_daemon(config: Path | None, *, renew_pin: bool) -> None:
    from edge_agent.runtime.agent import AgentError
    from edge_agent.runtime.daemon import run_agent
    from edge_agent.runtime.logs import configure_logs

    configure_logs()
    try:
        run_agent(
            _load_settings(config),
            VERSION,
            _now,
            lambda line: typer.echo(line, err=True),
            renew_pin=renew_pin,
        )
    except AgentError as error:
        raise _refuse("run", error) from None


def _read_code() -> str:
    """Not from the command line, which every process here may read."""
    if sys.stdin.isatty():
        return str(typer.prompt("Pairing code"))
    return sys.stdin.readline()


def _load_settings(config: Path | None) -> EdgeSettings:
    try:
        return load_settings(config)
    except SettingsError as error:
        raise _refuse("settings", error) from None


def _refuse(command: str, error: Exception) -> typer.Exit:
    for line in str(error).splitlines():
        typer.echo(f"edge-agent {command}: {line}", err=True)
    return typer.Exit(WRONG_INPUT)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - one of the two places that read the clock


def main() -> None:
    """Entry point of the console script."""
    app()
