"""Faults around Mosquitto as Debian configures it (it keeps 1,000 messages), and one worker."""

from pathlib import Path

import pytest

from tests.faults.judge import strike_all
from tests.faults.world import SEED, World

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

FAULTS = (
    "more than the broker's queue holds",
    "two boxes under one client id",
    "boxes' clock jumps",
    "server's clock jumps",
    "disk full at the boxes",
)


def test_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    with World(tmp_path / "world", "stock Mosquitto", SEED, workers=1) as world:
        strike_all(world, FAULTS)
