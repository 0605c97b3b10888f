"""The demo's processes: a death is noticed and told, and nothing outlives the demo."""

import sys
import time
from pathlib import Path

import pytest

from scripts.children import ChildDiedError, Children

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True);"
    " time.sleep(60)",
]


def test_a_death_is_told_with_its_last_words(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "import sys; print('no camera'); sys.exit(3)"]
    with Children(tmp_path) as children:
        other = children.start("server", SLEEP, {})
        children.start("agent", failing, {})
        with pytest.raises(ChildDiedError, match=r"(?s)agent ended with exit code 3.*no camera"):
            children.watch(20)
    assert other.process.poll() is not None


def test_a_kill_is_told_by_its_signal(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        children.start("server", SLEEP, {}).process.kill()
        with pytest.raises(ChildDiedError, match="server ended by SIGKILL"):
            children.watch(20)


def test_a_program_that_may_end_is_not_missed(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        done = children.start("history", [sys.executable, "-c", ""], {}, may_end=True)
        done.process.wait(20)
        children.check()


def test_who_does_not_listen_is_killed(tmp_path: Path) -> None:
    with Children(tmp_path, stop_timeout_s=0.5) as children:
        stubborn = children.start("stubborn", STUBBORN, {})
        while not (tmp_path / "stubborn.log").read_text():
            time.sleep(0.05)
    assert stubborn.process.poll() is not None
