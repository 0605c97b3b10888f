"""Faults around RabbitMQ with short queues, one worker and PostgreSQL."""

from pathlib import Path

import pytest

from tests.faults.judge import strike_all
from tests.faults.world import SEED, World
from tests.processes.postgresql import PostgreSQL

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

FAULTS = (
    "server dies during project",
    "database down and back",
    "boxes killed",
)


def test_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    with (
        PostgreSQL() as postgresql,
        World(tmp_path / "world", "RabbitMQ", SEED, workers=1, postgresql=postgresql) as world,
    ):
        strike_all(world, FAULTS)
