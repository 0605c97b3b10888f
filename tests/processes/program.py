"""One real program under test: start, kill -9, stop politely, read what it said."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.processes.ports import wait_until


class Program:
    """A child process whose output goes to `log`; as a context it is stopped at the end."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.log = log
        self.environment = {**os.environ, **(environment or {})}
        self.cwd = cwd
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start (again); what an earlier run wrote stays in the log."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.cwd,
            )
        return self

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self.process is not None, "not started"
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    @property
    def output(self) -> str:
        """All that the program wrote so far, of every run."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """SIGKILL: no farewell, as when the power is cut."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def stop(self, timeout_s: float = 15) -> int:
        """SIGTERM and the exit code; a program that does not end in time is killed."""
        if self.process is None:
            return 0
        if self.is_running:
            self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def wait(self, timeout_s: float = 30) -> int:
        """The exit code once the program ends by itself."""
        assert self.process is not None, "not started"
        return self.process.wait(timeout_s)

    def wait_for_output(self, text: str, timeout_s: float = 30) -> None:
        """Return once `text` stands in the output; fails at once if the program ended without."""
        wait_until(
            lambda: text in self.output or not self.is_running, timeout_s, f"{text!r} in output"
        )
        assert text in self.output, f"ended without saying {text!r}:\n{self.output[-4000:]}"

    def __enter__(self) -> Self:
        return self if self.is_running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
