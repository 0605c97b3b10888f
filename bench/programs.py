"""How long both programs take to start, and how much memory they hold when little happens."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.report import Figure
from tests.end_to_end.province import DeskAgent, Province

SETTLE_S = 10.0
MEGABYTE = 1024 * 1024


def measure(folder: Path) -> list[Figure]:
    """The server with its embedded broker, and an agent that watches one drawn room."""
    province = Province(folder / "province", "embedded")
    agent = DeskAgent(folder / "agent", {"source": "scene:1"})
    server_s = _time(province.start)
    try:
        province.enrol(agent)
        agent_s = _time(agent.start)
        try:
            time.sleep(SETTLE_S)
            agent_mb, broker_mb = _memory_mb(agent.pid), _memory_mb(province.embedded_broker().pid)
            server_mb = _memory_mb(province.pid) + sum(map(_memory_mb, _children(province.pid)))
            server_mb -= broker_mb
        finally:
            agent.stop()
    finally:
        province.stop()
    return [
        Figure("server: start-up", server_s, "s", note="until /readyz, broker included"),
        Figure("server: memory idle", server_mb, "MB", 300, is_limit=True, note="with log writer"),
        Figure("embedded broker: memory idle", broker_mb, "MB", note="a process of its own"),
        Figure("edge: start-up", agent_s, "s", note="until its pages answer"),
        Figure("edge: memory", agent_mb, "MB", 250, is_limit=True, note="one drawn room watched"),
    ]


def _time(start: Callable[[], object]) -> float:
    began = time.monotonic()
    start()
    return time.monotonic() - began


def _memory_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss / MEGABYTE)


def _children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]
