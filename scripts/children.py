"""The processes of one demo: started in one group, watched, and ended together by their ids."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.1
STOP_TIMEOUT_S = 10.0
LOG_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Child:
    """A running program; `log` is where its output goes (`None`: to the terminal)."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    may_end: bool

    @property
    def output(self) -> str:
        """All that it wrote so far."""
        return "" if self.log is None else self.log.read_text(errors="replace")


class ChildDiedError(Exception):
    """A program ended that should run; the message says which, how, and its last words."""


class Children:
    """As a context: whatever happens inside, nothing of it is left running afterwards."""

    def __init__(self, log_folder: Path, stop_timeout_s: float = STOP_TIMEOUT_S) -> None:
        self._log_folder = log_folder
        self._stop_timeout_s = stop_timeout_s
        self._children: list[Child] = []

    def start(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        may_end: bool = False,
        on_terminal: bool = False,
    ) -> Child:
        """Start a program; `may_end`: its success is no fault; `on_terminal`: it shows progress."""
        log = None if on_terminal else self._log_folder / f"{name}.log"
        with log.open("ab") if log is not None else contextlib.nullcontext() as output:
            process = subprocess.Popen(  # noqa: S603 - programs of this project, our own arguments
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **environment},
            )
        child = Child(name, process, log, may_end)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raise `ChildDiedError` if one ended that should not have."""
        for child in self._children:
            code = child.process.poll()
            if code is not None and not (child.may_end and code == 0):
                raise ChildDiedError(f"{child.name} ended {_how(code)}{_last_words(child.log)}")

    def watch(self, seconds: float) -> None:
        """Sleep, but notice a death within a moment."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """SIGTERM to each, newest first; SIGKILL to whatever is still there after a while."""
        running = [c.process for c in reversed(self._children) if c.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._stop_timeout_s
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def _last_words(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return f"; the end of {log}:\n" + "\n".join(f"    {line}" for line in lines)
