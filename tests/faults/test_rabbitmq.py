"""Faults around RabbitMQ's shared queue, two workers, two projectors and PostgreSQL."""

from pathlib import Path

import pytest

from tests.faults.judge import strike_all
from tests.faults.world import SEED, World
from tests.processes.postgresql import PostgreSQL

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

FAULTS = (
    "one of each kind of process killed",
    "server dies during project",
    "database down and back",
    "boxes killed",
)


def test_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    with (
        PostgreSQL() as postgresql,
        World(
            tmp_path / "world",
            "RabbitMQ",
            SEED,
            workers=2,
            projectors=2,
            amqp=True,
            postgresql=postgresql,
        ) as world,
    ):
        strike_all(world, FAULTS)
