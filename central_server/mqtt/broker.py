"""The embedded broker as seen by the server: a child that is watched, restarted, and taken along.

For demo and pilot. It may lose messages when it dies; receipts make that harmless.
"""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import structlog

_log = structlog.get_logger()

LISTENING = "listening"  # the child's one line on standard output, once it takes connections
RESTART_AFTER_S = 1.0
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
        self._process = self._spawn()
        if not _is_listening(self._process):
            _end(self._process)
            raise BrokerFailedError(f"broker.port: can't listen on {self.host}:{self.port}")
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
        return subprocess.Popen(  # noqa: S603 - our own module
            self._command,
            # Never written to: when this process ends in whatever way, it closes, and the child
            # ends too.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C in a terminal is for us; the child must outlive what still talks to it.
            start_new_session=True,
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


def _is_listening(process: subprocess.Popen[bytes]) -> bool:
    """Waits for the child's word; `False` if it ended without."""
    return process.stdout is not None and process.stdout.readline().strip() == LISTENING.encode()


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
