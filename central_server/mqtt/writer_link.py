"""The log writer in a process beside this one: reading messages and writing the log each want all
of an interpreter.

The child ends with the server, however that ends. If it dies alone it is started again, and what
had no outcome is submitted anew: storing something twice changes nothing.
"""

import fcntl
import os
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection

import structlog

from central_server.mqtt.writer_messages import (
    END,
    Batch,
    Failed,
    Listener,
    News,
    Outcome,
    Refusing,
    Stored,
    pack,
)
from central_server.settings import ServerSettings

_log = structlog.get_logger()

PROGRAM: tuple[str, ...] = (sys.executable, "-m", "central_server.mqtt.writer_process")
RESTART_AFTER_S = 1.0
_STOP_LIMIT_S = 30.0
_PIPE_BYTES = 1 << 20  # a batch in one piece


class WriterProcess:
    """A `Writer`: hands batches to a child, and its answers to the listener."""

    def __init__(self, settings: ServerSettings, *, projects: bool) -> None:
        self._settings, self._projects = settings, projects
        self._under_way: deque[tuple[Batch, bytes]] = deque()
        self._turn = threading.Lock()  # of who sends
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer-link", daemon=True)

    @property
    def pid(self) -> int:
        """The id of the child that runs, or ran last."""
        return self._child.pid

    def start(self, listener: Listener) -> None:
        """See `Writer`; raises `OSError` if the system lets no process begin."""
        self._listener = listener
        self._begin()
        self._thread.start()

    def submit(self, batch: Batch) -> None:
        """See `Writer`."""
        packed = pack(batch)  # before it counts as under way, should it fail
        with self._turn:
            self._under_way.append((batch, packed))
            self._send(packed)

    def stop(self) -> None:
        """See `Writer`; a child that does not end in time is killed, which harms nothing."""
        self._stopping.set()
        patience = threading.Timer(_STOP_LIMIT_S, lambda: self._child.kill())
        patience.start()
        with self._turn, suppress(OSError):
            self._requests.send_bytes(END)
        self._thread.join()
        patience.cancel()

    def _begin(self) -> None:
        """A new child; it gets first what the one before it left."""
        with self._turn:
            if self._stopping.is_set():
                return  # `stop` spoke to the former one
            self._child, self._requests, self._answers = _spawn()
            with suppress(OSError):
                self._requests.send((self._settings, self._projects))
            for _, packed in self._under_way:
                self._send(packed)

    def _send(self, packed: bytes) -> None:
        # One that broke off is noticed by the thread that listens, which sends all again.
        with suppress(OSError):
            self._requests.send_bytes(packed)

    def _run(self) -> None:
        while True:
            self._listen()
            self._requests.close()
            self._answers.close()
            code = self._child.wait()
            if self._stopping.is_set():
                return
            _log.error("log writer ended, starting it again", code=code)
            self._listener.on_news(Refusing("the log writer ended"))
            if self._stopping.wait(RESTART_AFTER_S):
                return
            try:
                self._begin()
            except OSError as error:  # no memory, no files: tried again
                _log.error("log writer can't begin", reason=str(error))

    def _listen(self) -> None:
        """Until the child has ended."""
        with suppress(EOFError, OSError):
            while True:
                answer: Outcome | News = self._answers.recv()
                if isinstance(answer, Stored | Failed):
                    with self._turn:
                        batch, _ = self._under_way.popleft()
                    self._listener.on_outcome(batch, answer)
                else:
                    self._listener.on_news(answer)


def _spawn() -> tuple["subprocess.Popen[bytes]", Connection, Connection]:
    """The child, and our ends of the pipes to and from it; raises `OSError`."""
    theirs, ours = os.pipe()
    requests = Connection(ours, readable=False)
    ours, theirs_too = os.pipe()
    answers = Connection(ours, writable=False)
    with suppress(OSError):  # the system's limit of this user is used up
        fcntl.fcntl(requests, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own program
            [*PROGRAM, str(theirs), str(theirs_too)],
            pass_fds=(theirs, theirs_too),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal is for the server
        )
    except OSError:
        requests.close()
        answers.close()
        raise
    finally:
        os.close(theirs)
        os.close(theirs_too)
    return child, requests, answers
