"""How many events a second the server takes in, as ratios that do not depend on the machine.

A real Mosquitto holds the load in a persistent session's queue; the clock runs from the first
message that arrives to the last that is done. The broker is set as we ship it, but with an
unlimited queue: `max_queued_messages 0`, `max_inflight_messages 4000`. A commit a batch, on the
disk: SQLite by `synchronous=FULL`, PostgreSQL on this machine as Debian sets it up.
"""

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.load import make_load, publish_in_other_process, write_load
from bench.report import Figure
from bench.server import SERVER_USER, make_context
from central_server.mqtt.broker_link import Delivery
from central_server.mqtt.collector import tune_collector
from central_server.mqtt.ingest_service import IngestService
from central_server.mqtt.writer_link import WriterProcess
from central_server.mqtt.writer_messages import Batch, Listener, Outcome, Ready, Stored, Writer
from central_server.services.context import ServerContext
from central_server.services.device_receipts import sign
from central_server.services.keys import load_keys
from central_server.storage import projection
from central_server.storage.events import StoredEvent
from central_server.storage.streams import Stream
from event_protocol.messages import Receipt
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, topics_of_all
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import wait_until
from tests.processes.postgresql import PostgreSQL

EVENTS = 60_000  # some three seconds: the first and the last batch of a run hardly count
DEVICES = 20
RUNS = 5
LONGEST_RUN_S = 120.0
POLL_S = 0.01
BROKER_SETTINGS = "max_inflight_messages 4000"

Kind = Literal["raw", "undatabased", "append", "full"]


def measure(folder: Path) -> list[Figure]:
    """Medians of runs that take turns, and their ratios.

    PostgreSQL is measured by itself, for while it tidies up it is in the way of the others.
    """
    load, keys = folder / "load", folder / "keys"
    write_load(make_load(DEVICES, EVENTS, load_keys(keys).sealing_public), load)
    users = {SERVER_USER: SERVER_USER}
    tune_collector()  # as the server does; for the counting subscriber, too
    with Mosquitto(folder / "broker", users, settings=BROKER_SETTINGS) as broker:

        def measure_kind(kind: Kind, place: Path, database_url: str | None) -> float:
            _fill_queue(broker.port, load)
            context = make_context(place, keys, broker.port, DEVICES, database_url=database_url)
            rate = RATES[kind](context)
            context.database.close()
            shutil.rmtree(place)  # else the system writes its pages while the next run is measured
            return rate

        sqlite = _medians(lambda kind, run: measure_kind(kind, folder / f"{kind}-{run}", None))
        with PostgreSQL(durable=True) as server:
            postgresql = _medians(
                lambda kind, run: measure_kind(
                    kind, folder / f"{kind}-postgresql-{run}", server.new_database()
                )
            )
    return [*_figures(sqlite), *_postgresql_figures(postgresql)]


def _medians(measure_kind: Callable[[Kind, int], float]) -> dict[Kind, float]:
    rates: dict[Kind, list[float]] = {kind: [] for kind in RATES}
    for run in range(RUNS):
        for kind, found in rates.items():
            found.append(measure_kind(kind, run))
    return {kind: median(found) for kind, found in rates.items()}


def _figures(rates: Mapping[Kind, float]) -> list[Figure]:
    raw, undatabased, append, full = (rates[kind] for kind in RATES)
    how = f"median of {RUNS} runs of {EVENTS} queued events"
    return [
        Figure("raw counting subscriber", raw, "/s", note=how),
        Figure("subscriber without a database", undatabased, "/s", note="decodes, acknowledges"),
        Figure("append with commit", append, "/s", note="SQLite, WAL, synchronous=FULL"),
        Figure("append, project, flags", full, "/s", note="until all is projected"),
        Figure("append ÷ without a database", append / undatabased, "", target=0.85),
        Figure("append ÷ raw", append / raw, "", target=0.6),
        Figure("full pipeline ÷ raw", full / raw, "", target=0.3),
    ]


def _postgresql_figures(rates: Mapping[Kind, float]) -> list[Figure]:
    _, undatabased, append, full = (rates[kind] for kind in RATES)
    return [
        Figure("without a database, beside PostgreSQL", undatabased, "/s"),
        Figure("append with commit, PostgreSQL", append, "/s", note="COPY, fsync on"),
        Figure("append, project, flags, PostgreSQL", full, "/s", note="until all is projected"),
        Figure("append ÷ without a database, PostgreSQL", append / undatabased, "", target=0.65),
    ]


def _fill_queue(port: int, load: Path) -> None:
    """Leave the whole load in the server's persistent session."""
    client = _client(port)
    client.subscribe(topics_of_all(Channel.EVENTS), 1)
    client.loop_start()
    time.sleep(0.2)  # the subscription is confirmed in a millisecond
    client.disconnect()
    client.loop_stop()
    publisher = publish_in_other_process(load, port, SERVER_USER, SERVER_USER)
    if publisher.wait(LONGEST_RUN_S) != 0:
        raise RuntimeError("the load could not be published")


def _client(port: int) -> Client:
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=SERVER_USER,
        clean_session=False,
        protocol=MQTTProtocolVersion.MQTTv311,
    )
    client.username_pw_set(SERVER_USER, SERVER_USER)
    client.connect("127.0.0.1", port)
    return client


def _rate_raw(context: ServerContext) -> float:
    """A paho client that counts."""
    clock = _Stopwatch()
    client = _client(context.settings.broker.port)

    def count(_client: Client, _userdata: object, _message: MQTTMessage) -> None:
        clock.count(1)

    client.on_message = count
    client.loop_start()
    rate = clock.wait_for_rate()
    client.disconnect()
    client.loop_stop()
    return rate


def _rate_undatabased(context: ServerContext) -> float:
    return _rate_of(_Timed(context, _Forgetting(context)))


def _rate_append(context: ServerContext) -> float:
    return _rate_of(_Timed(context, _ReadyFirst(context.settings, projects=False)))


def _rate_full(context: ServerContext) -> float:
    service = _Timed(context, _ReadyFirst(context.settings, projects=True))
    service.start()
    service.clock.wait_for_rate()
    while _is_behind(context):
        time.sleep(POLL_S)
    rate = EVENTS / (time.monotonic() - service.clock.began)
    service.stop()
    return rate


def _is_behind(context: ServerContext) -> bool:
    with context.database.reading() as db:
        return bool(projection.list_behind(db))


def _rate_of(service: "_Timed") -> float:
    service.start()
    rate = service.clock.wait_for_rate()
    service.stop()
    return rate


RATES: dict[Kind, Callable[[ServerContext], float]] = {
    "raw": _rate_raw,
    "undatabased": _rate_undatabased,
    "append": _rate_append,
    "full": _rate_full,
}


class _Stopwatch:
    """From the first message to the last of the load; one thread counts, another waits."""

    def __init__(self) -> None:
        self.began = self._ended = 0.0
        self._counted = 0
        self._is_done = threading.Event()

    def start(self) -> None:
        self.began = self.began or time.monotonic()

    def count(self, messages: int) -> None:
        self.start()
        self._counted += messages
        if self._counted >= EVENTS:
            self._ended = time.monotonic()
            self._is_done.set()

    def wait_for_rate(self) -> float:
        if not self._is_done.wait(LONGEST_RUN_S):
            raise RuntimeError(f"only {self._counted} of {EVENTS} events in {LONGEST_RUN_S} s")
        return EVENTS / (self._ended - self.began)


class _Timed(IngestService):
    """The server's own intake, timed from the first delivery to the last acknowledgement."""

    def __init__(self, context: ServerContext, writer: Writer) -> None:
        super().__init__(context, writer)
        self.clock = _Stopwatch()

    def _take(self, read: Sequence[Delivery]) -> None:
        self.clock.start()
        super()._take(read)

    def on_outcome(self, batch: Batch, outcome: Outcome) -> None:
        """See `Listener`."""
        super().on_outcome(batch, outcome)
        self.clock.count(len(batch.deliveries))


class _ReadyFirst(WriterProcess):
    """The server's own log writer; the clock does not run while its process begins."""

    def start(self, listener: Listener) -> None:
        """Returns once it takes batches."""
        super().start(listener)
        wait_until(lambda: isinstance(listener, _Timed) and listener.failure is None)


class _Forgetting:
    """The same without a database: what was decoded is forgotten, and receipts are made of it."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def start(self, listener: Listener) -> None:
        """See `Writer`."""
        self._listener = listener
        listener.on_news(Ready())

    def submit(self, batch: Batch) -> None:
        """Answers at once."""
        now = self._context.now()
        last: dict[Stream, StoredEvent] = {}
        for _, entry in batch.events:
            if isinstance(entry, StoredEvent):
                last[entry.device, entry.epoch] = entry
        receipts = [
            (
                DeviceId(device),
                Receipt(epoch=epoch, through=row.sequence, hash=row.hash, server_time=now),
            )
            for (device, epoch), row in last.items()
        ]
        self._listener.on_outcome(batch, Stored(sign(self._context, receipts), []))

    def stop(self) -> None:
        """Nothing to end."""
