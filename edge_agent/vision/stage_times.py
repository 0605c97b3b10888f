"""How long each stage of the work on a frame takes, for the benchmark and telemetry."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StageTimes:
    """Seconds and runs by stage. Each stage is written by one thread only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.runs: dict[str, int] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Count the time inside the block to `stage`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began
            self.runs[stage] = self.runs.get(stage, 0) + 1

    def milliseconds(self) -> dict[str, float]:
        """Mean of each stage."""
        return {stage: 1000 * self.seconds[stage] / runs for stage, runs in self.runs.items()}
