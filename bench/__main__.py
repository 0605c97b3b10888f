"""`python -m bench`: measures everything; `… soak`: a fleet until Ctrl-C; `… soak cameras`."""

import logging
import sys
import tempfile
from pathlib import Path

import structlog
from rich.console import Console

from bench import cards, edge, key_frames, latency, presence, programs, rates, tamper
from bench.camera_soak import soak_cameras
from bench.report import Figure, print_table, store
from bench.soak import soak
from central_server.main import read_clock

RESULTS = Path(__file__).resolve().parent / "results"
PARTS = {
    "both programs": programs.measure,
    "cameras": edge.measure,
    "key frames": key_frames.measure,
    "cards": cards.measure,
    "presence": presence.measure,
    "trust in the picture": tamper.measure,
    "the intake's rates": rates.measure,
    "event to visible flag": latency.measure,
}


def main(arguments: list[str]) -> int:
    """Measure, show and store; a missed target is shown, not an error."""
    # What the server's parts say of themselves is no part of the table.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console()
    if arguments == ["soak"]:
        return soak(console)
    if arguments == ["soak", "cameras"]:
        return soak_cameras(console)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="onestop-bench-") as folder:
        for number, (what, measure) in enumerate(PARTS.items()):
            console.print(f"measuring {what} …")
            place = Path(folder) / str(number)
            place.mkdir()
            figures += measure(place)
    print_table(figures, console)
    console.print(f"stored in {store(figures, RESULTS, read_clock())}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
