"""The log writer's own process, until the intake ends it or is gone."""

import os
import signal
import sys
import threading
from functools import partial
from multiprocessing.connection import Connection

from central_server.clock import read_clock
from central_server.mqtt.collector import tune_collector
from central_server.mqtt.log_writer import LogWriter
from central_server.mqtt.writer_messages import END, Batch, News, Outcome, unpack
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.services.keys import load_keys
from central_server.services.logs import write_json_logs
from central_server.storage.unit_of_work import Database


def main() -> None:
    """Started by the intake with two pipes, see writer_link.py; ends when the first one does."""
    write_json_logs()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # for the server, which then tells us
    requests_file, answers_file = map(int, sys.argv[1:])
    requests = Connection(requests_file, writable=False)
    settings, projects = requests.recv()
    context = ServerContext(
        settings, Database(settings.database_address), load_keys(settings.directory), read_clock
    )
    project = partial(projector.project_devices, context)
    writer = LogWriter(context, project if projects else None)
    tune_collector()
    writer.start(_Answering(Connection(answers_file, readable=False)))
    while (packed := _receive(requests)) != END:
        writer.submit(unpack(packed))
    writer.stop()
    context.database.close()


class _Answering:
    """The child's `Listener`."""

    def __init__(self, answers: Connection) -> None:
        self._answers = answers
        self._turn = threading.Lock()

    def on_outcome(self, _batch: Batch, outcome: Outcome) -> None:
        self._send(outcome)

    def on_news(self, news: News) -> None:
        self._send(news)

    def _send(self, answer: Outcome | News) -> None:
        try:
            with self._turn:
                self._answers.send(answer)
        except OSError:
            os._exit(1)  # nobody is there any more


def _receive(requests: Connection) -> bytes:
    try:
        return requests.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)  # the server died, and as it would have, at once


if __name__ == "__main__":
    main()
