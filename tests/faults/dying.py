"""`python -m tests.faults.dying PROGRAM ARGS…`: a real program that dies where it is told to.

`FAULTS_POINT` (`name:call`) names one of `POINTS`: at that call the process kills itself as the
power would. `FAULTS_CLOCK` names a file with the seconds by which its clock is wrong, read anew
each time. The programs know nothing of this: their parts are wrapped before they are joined. A
server's log writer takes the server with it.
"""

import importlib
import itertools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from central_server.mqtt import writer_link

POINT, CLOCK = "FAULTS_POINT", "FAULTS_CLOCK"
LOG_WRITER = "log-writer"
PROGRAMS = {
    "central-server": "central_server.main",
    LOG_WRITER: "central_server.mqtt.writer_process",
    "boxes": "tests.faults.boxes",
}


@dataclass(frozen=True, slots=True)
class KillPoint:
    """The function whose call is the moment: before it begins, or after it has returned."""

    module: str
    name: str  # of the module's function, or `Class.method`
    is_before: bool


POINT_OF_PROJECTORS = "during project"
POINTS = {
    "before append": KillPoint("central_server.services.ingest", "append_filed", True),
    "between commit and receipt": KillPoint(
        "central_server.services.ingest", "append_filed", False
    ),
    # All is written and nothing committed: the projector's transaction is still open.
    POINT_OF_PROJECTORS: KillPoint("central_server.services.stream_projector", "project", False),
    "between storing and sending": KillPoint("edge_agent.delivery.outbox", "Outbox.append", False),
    "between receipt and prune": KillPoint(
        "edge_agent.delivery.outbox", "Outbox.apply_receipt", True
    ),
}
POINTS_OF_SERVER = tuple(name for name, at in POINTS.items() if at.module.startswith("central"))
POINTS_OF_BOX = tuple(name for name in POINTS if name not in POINTS_OF_SERVER)


def arm(point: KillPoint, at_call: int, die: Callable[[], None]) -> None:
    """`die` is called at that call of the function, the first being 1."""
    owner: Any = importlib.import_module(point.module)
    *path, name = point.name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)
    calls = itertools.count(1)

    def dying(*arguments: Any, **named: Any) -> Any:
        is_the_one = next(calls) == at_call
        if is_the_one and point.is_before:
            die()
        result = original(*arguments, **named)
        if is_the_one:
            die()
        return result

    setattr(owner, name, dying)


def read_wrong_clock() -> datetime:
    """The machine's clock, and how far off the test wants it."""
    off_s = float(Path(os.environ[CLOCK]).read_text())
    return datetime.now(UTC) + timedelta(seconds=off_s)  # noqa: TID251 - a program's own clock


def die_with(program: str) -> None:
    """As the power would end it, this moment."""
    server = psutil.Process(os.getppid())
    if program == LOG_WRITER and "tests.faults.dying" in server.cmdline():  # else it is gone
        server.kill()
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Arm what the environment names, then be the program."""
    _, program, *arguments = sys.argv
    if POINT in os.environ:
        name, _, at_call = os.environ[POINT].partition(":")
        arm(POINTS[name], int(at_call), partial(die_with, program))
    writer_link.PROGRAM = (sys.executable, "-m", "tests.faults.dying", LOG_WRITER)
    entry: Any = importlib.import_module(PROGRAMS[program])
    if CLOCK in os.environ:
        entry.read_clock = read_wrong_clock
    sys.argv = [program, *arguments]
    entry.main()


if __name__ == "__main__":
    main()
