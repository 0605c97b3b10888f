"""`python -m bench soak`: a simulated fleet into a real server, over real MQTT, until Ctrl-C."""

import signal
import sys
import tempfile
import threading
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from central_server.main import build
from central_server.simulation.run import Plan, local_day, simulate
from tests.end_to_end.province import PASSWORD, Province

DESKS, DAYS = 40, 30


def soak(console: Console) -> int:
    """History first, then the day as it passes; the exit code."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with (
        tempfile.TemporaryDirectory(prefix="onestop-soak-") as folder,
        Province(Path(folder) / "province", "embedded") as province,
    ):
        console.print(f"{province.url}: log in as lead, {PASSWORD}")
        context = build(province.settings)
        begin = local_day(context) - timedelta(days=DAYS)
        plan = Plan(DESKS, DAYS, 1, begin, dishonest=DESKS // 10, live=True)
        simulate(context, plan, console, stopping)
        context.database.close()
        if not province.is_running:
            sys.stderr.write(province.output[-4000:])
            return 1
    return 0
