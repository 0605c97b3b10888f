"""How the box is: what telemetry and the status topic say. Reads the machine, changes nothing."""

import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from edge_agent.delivery.outbox import Outbox
from event_protocol.messages import (
    MAX_PROBLEM_CHARACTERS,
    CameraTelemetry,
    DeviceStatus,
    Link,
    Telemetry,
)

MEGABYTE = 1024 * 1024


class CpuMeter:
    """This process's CPU time between two readings, in percent of one core."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read_at, self._used = time.monotonic(), time.process_time()

    def percent(self) -> float:
        """Since the last call."""
        with self._lock:
            at, used = time.monotonic(), time.process_time()
            share = (used - self._used) / max(at - self._read_at, 1e-3)
            self._read_at, self._used = at, used
        return round(100 * share, 1)


def memory_mb() -> int:
    """Resident memory of this process; where the kernel doesn't tell it, the most it ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // MEGABYTE
    except (OSError, IndexError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // (MEGABYTE if sys.platform == "darwin" else 1024)


def disk_free_mb(folder: Path) -> int:
    """Free space where the outbox lives."""
    return shutil.disk_usage(folder).free // MEGABYTE


def make_status(outbox: Outbox, link: Link) -> DeviceStatus:
    """Birth or will; the boot number lets the server tell an old will from a new birth."""
    return DeviceStatus(status=link, epoch=outbox.tip.epoch, boot=outbox.tip.boot)


class HealthReporter:
    """Makes telemetry; `cameras` reads what each camera's thread measured last.

    `confirmer_problem`: why the second opinion on presence was switched off, if it was.
    """

    def __init__(
        self,
        folder: Path,
        outbox: Outbox,
        cameras: Callable[[], Mapping[str, CameraTelemetry]],
        agent_version: str,
        now: Callable[[], datetime],
        confirmer_problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._cameras = cameras
        self._agent_version = agent_version
        self._now = now
        self._confirmer_problem = confirmer_problem
        self._cpu = CpuMeter()

    def measure(self) -> Telemetry:
        """The box as it is now."""
        problem = self._confirmer_problem()
        return Telemetry(
            time=self._now(),
            boot=self._outbox.tip.boot,
            agent_version=self._agent_version,
            cameras=dict(self._cameras()),
            cpu_percent=self._cpu.percent(),
            memory_mb=memory_mb(),
            disk_free_mb=disk_free_mb(self._folder),
            outbox_depth=self._outbox.depth,
            receipt_fault=self._outbox.receipt_fault,
            confirmer_problem=problem and problem[:MAX_PROBLEM_CHARACTERS],
            clockoffsetms=self._outbox.clock_offset_ms,
        )
