"""`python -m bench [PART…]`: measures all parts or some; `… soak`: a fleet; `… soak cameras`,
`… soak storm`, `… soak faults [SEED]`, `… soak cluster [SEED]`: see those modules.
"""

import logging
import sys
import tempfile
from pathlib import Path

import structlog
from rich.console import Console

from bench import (
    cards,
    edge,
    growth,
    key_frames,
    latency,
    presence,
    programs,
    rates,
    ring,
    storm,
    tamper,
    workers,
)
from bench.camera_soak import MINUTES, soak_cameras
from bench.fault_soak import soak_cluster, soak_faults, soak_storm
from bench.report import Figure, print_table, store
from bench.soak import soak
from central_server.clock import read_clock

RESULTS = Path(__file__).resolve().parent / "results"
# The longest last: each part's table is shown, and all so far stored, as soon as it is measured.
PARTS = {
    "programs": programs.measure,
    "intake": rates.measure,
    "growth": growth.measure,
    "workers": workers.measure,
    "storm": storm.measure,
    "latency": latency.measure,
    "cameras": edge.measure,
    "key-frames": key_frames.measure,
    "cards": cards.measure,
    "ring": ring.measure,
    "presence": presence.measure,
    "trust": tamper.measure,
}
LONG_PARTS = {"growth-ten-million": growth.measure_most}  # only when asked for


def main(arguments: list[str]) -> int:
    """Measure, show and store; a missed target is shown, not an error."""
    # What the server's parts say of themselves is no part of the table.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console()
    if arguments == ["soak"]:
        return soak(console)
    if arguments[:2] == ["soak", "cameras"]:
        return soak_cameras(console, float(arguments[2]) if arguments[2:] else MINUTES)
    if arguments == ["soak", "storm"]:
        return soak_storm(console)
    if arguments[:2] == ["soak", "faults"]:
        return soak_faults(console, int(arguments[2]) if arguments[2:] else None)
    if arguments[:2] == ["soak", "cluster"]:
        return soak_cluster(console, int(arguments[2]) if arguments[2:] else None)
    parts = {**PARTS, **LONG_PARTS}
    unknown = [name for name in arguments if name not in parts]
    if unknown:
        console.print(f"no part {unknown[0]!r}; there are: {', '.join(parts)}, soak")
        return 2
    figures: list[Figure] = []
    began = read_clock()
    with tempfile.TemporaryDirectory(prefix="onestop-bench-") as folder:
        for name in arguments or PARTS:
            console.print(f"measuring {name} …")
            place = Path(folder) / name
            place.mkdir()
            measured = parts[name](place)
            print_table(measured, console)
            figures += measured
            console.print(f"stored in {store(figures, RESULTS, began)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
