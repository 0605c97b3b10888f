"""How long the outboxes of many boxes take to drain when all come back at the same moment.

Through Mosquitto as we ship it, into the whole server on SQLite; from the first connection to the
last signed receipt. Pauses before a connection, of up to eight seconds, are part of it.
"""

from pathlib import Path

from bench.report import Figure
from tests.faults.storm import storm

BOXES, EVENTS = 1000, 60


def measure(folder: Path) -> list[Figure]:
    """One storm."""
    took_s = storm(
        folder / "storm",
        "our Mosquitto",
        1,
        boxes=BOXES,
        events=EVENTS,
        open_files=1024,
        within_s=450,
    )
    how = f"{BOXES} boxes with {EVENTS} events each"
    return [
        Figure("storm drained", took_s, "s", note=how),
        Figure("storm, events", BOXES * EVENTS / took_s, "/s", note=how),
    ]
