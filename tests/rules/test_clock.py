"""Only the two main.py read the clock; everything else is told the time."""

import ast
from pathlib import Path

PACKAGES = ("event_protocol", "edge_agent", "central_server", "web")
MAY_READ_IT = {"edge_agent/main.py", "central_server/clock.py"}
READINGS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
}


def readings(source: str) -> list[int]:
    """The lines on which a module reads the clock, or hands its reader on."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and (_owner(node.value), node.attr) in READINGS
    ]


def _owner(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def test_only_the_programs_entries_read_the_clock(repository: Path) -> None:
    found = {
        str(path.relative_to(repository))
        for package in PACKAGES
        for path in (repository / package).rglob("*.py")
        if "node_modules" not in path.parts and readings(path.read_text())
    }
    assert found <= MAY_READ_IT


def test_a_reading_is_found_however_it_is_spelt() -> None:
    assert readings("import datetime\nx = datetime.datetime.now()") == [2]
    assert readings("from datetime import date\nclock = date.today") == [2]
    assert readings("import time\ntime.monotonic()\ntime.time()") == [3]
