"""The embedded broker as seen by the server: a child that is watched, restarted, and taken along.

For demo and pilot. It may lose messages when it dies; receipts make that harmless.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

_log = structlog.get_logger()

START_LIMIT_S = 20.0  # importing and listening takes about one second on a slow machine
RESTART_AFTER_S = 1.0
_POLL_S = 0.05
_STOP_LIMIT_S = 5.0


class BrokerFailedError(RuntimeError):
    """The broker could not be started; the message says why."""


class EmbeddedBroker:
    """One broker process on `host` and `port`; dies with this process even by SIGKILL."""

    def __init__(self, host: str, port: int, password_file: Path, server: str) -> None:
        self.host, self.port = host, port
        self._command = [
            *(sys.executable, "-m", "central_server.mqtt.broker_process"),
            *("--host", host, "--port", str(port)),
            *("--password-file", str(password_file), "--server", server),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="broker-watch", daemon=True)

    def start(self) -> None:
        """Returns once it takes connections; raises `BrokerFailedError`."""
        if _takes_connections(self.host, self.port):
            raise BrokerFailedError(
                f"broker.port: port {self.port} on {self.host} is in use by another program"
            )
        self._process = self._spawn()
        self._wait_until_up(self._process)
        self._watcher.start()

    def stop(self) -> None:
        """Ends the process and waits for it."""
        self._stopping.set()
        if self._process is not None:
            _end(self._process)
        if self._watcher.is_alive():
            self._watcher.join()

    @property
    def pid(self) -> int | None:
        """The id of the running process."""
        return None if self._process is None else self._process.pid

    def _spawn(self) -> subprocess.Popen[bytes]:
        # The pipe is never written to: when this process ends in whatever way, it closes, and the
        # child ends too.
        return subprocess.Popen(self._command, stdin=subprocess.PIPE)  # noqa: S603 - our own module

    def _wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        if not _wait_for(
            lambda: process.poll() is not None or _takes_connections(self.host, self.port)
        ):
            _end(process)
            raise BrokerFailedError(f"the broker did not listen within {START_LIMIT_S:.0f} s")
        if process.poll() is not None:
            raise BrokerFailedError(
                f"the broker can't listen on {self.host}:{self.port}: see the message above"
            )

    def _watch(self) -> None:
        """Thread: starts the broker again whenever it ends by itself."""
        while self._process is not None:
            code = self._process.wait()
            _end(self._process)  # gives the pipe back
            if self._stopping.wait(RESTART_AFTER_S):
                return
            _log.error("broker ended, starting it again", code=code)
            self._process = self._spawn()
            if self._stopping.is_set():  # stop() saw the former process
                _end(self._process)


def free_port(host: str) -> int:
    """A port that is free just now, for the setting 0."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _takes_connections(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
