"""Faults around the embedded broker and one server with its pages, on SQLite."""

from pathlib import Path

import pytest

from tests.faults.judge import strike_all
from tests.faults.world import SEED, World

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

FAULTS = (
    "server dies before append",
    "log writer killed",
    "publisher gone right after PUBACK",
    "old will after a new birth",
    "database locked",
    "disk full at the server",
)


def test_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    with World(tmp_path / "world", "embedded", SEED) as world:
        strike_all(world, FAULTS)
