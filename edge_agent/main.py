"""The commands of `edge-agent`: reads the command line and the clock, builds and runs the parts."""

from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from edge_agent.runtime.analyze import AnalysisError, analyze_video, parse_span
from edge_agent.runtime.read_codes import read_images

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
    all_readable = True
    for answer in read_images(images):
        typer.echo(answer.to_json())
        all_readable = all_readable and answer.error is None
    if not all_readable:
        raise typer.Exit(WRONG_INPUT)


def main() -> None:
    """Entry point of the console script."""
    app()
