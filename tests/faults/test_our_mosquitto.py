"""Faults around Mosquitto with our queues and access rules, and a worker that takes in."""

from pathlib import Path

import pytest

from tests.faults.judge import strike_all
from tests.faults.world import SEED, World

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

FAULTS = (
    "server dies between commit and receipt",
    "log writer killed",
    "old will after a new birth",
    "half-open connections",
    "slow link",
    "link cut and reset",
    "box dies between receipt and prune",
    "broker killed, its state deleted",
)


def test_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    with World(tmp_path / "world", "our Mosquitto", SEED, workers=1) as world:
        strike_all(world, FAULTS)
