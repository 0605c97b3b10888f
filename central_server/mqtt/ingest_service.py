"""Takes in what devices send: queue, batches, commit, acknowledgement, receipts, projection.

Nothing is acknowledged and no receipt leaves before the commit. While the database refuses, the
batch is kept and tried again; the full queue then stops the reading, which holds the broker back.
"""

import gc
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from central_server.domain.custody_log import KeysRotated
from central_server.domain.server_log import RegistryChanged
from central_server.mqtt.amqp_consumer import AmqpConsumer
from central_server.mqtt.broker_link import BrokerLink, Delivery
from central_server.mqtt.broker_tls import make_broker_context
from central_server.mqtt.projection_thread import ProjectionThread
from central_server.mqtt.subscriber import Subscriber
from central_server.services import (
    broker_accounts,
    device_links,
    device_receipts,
    enrolment,
    ingest,
    metrics,
)
from central_server.services.background import Repeating
from central_server.services.context import ServerContext
from central_server.services.device_links import LinkNews
from central_server.services.device_receipts import Addressed
from central_server.services.filing import Filed, Incoming, device_of, file_message, misfit
from central_server.storage import server_log
from central_server.storage.streams import Stream
from event_protocol.messages import Command, DeviceConfiguration, encode_signed
from event_protocol.names import DeviceId
from event_protocol.topics import Channel

_log = structlog.get_logger()

QUEUED_BATCHES = 4
IDLE_S = 0.005  # a pause in the stream: no use in letting the batch wait for more
POLL_S = 0.2  # how soon threads see that they should end
FIRST_RETRY_S, LAST_RETRY_S = 0.1, 5.0
CHORES_EVERY_S = 5.0
# What changes something in devices' configurations.
CHANGES = tuple(str(kind.model_fields["type"].default) for kind in (RegistryChanged, KeysRotated))
EVENTS_ENDING = f"/{Channel.EVENTS}"

# An event in hand is a dozen small objects that die with their batch, without cycles. At Python's
# own threshold (700) the collector looks at them all again and again: 50 µs an event, not 37.
COLLECT_EVERY_OBJECTS = 50_000

T = TypeVar("T")
_Arrival = tuple[Delivery, Filed | None]  # filed if it is an event
Project = Callable[[Iterable[Stream]], None]


def tune_collector() -> None:
    """Sets this process's garbage collector for taking in; call once the parts are loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY_OBJECTS)


class IngestService:
    """One process's intake. `worker` tells apart several processes on the same broker.

    `project`: `None` where other processes project. Threads: the network's, one that commits, one
    that projects, one for chores.
    """

    def __init__(
        self, context: ServerContext, project: Project | None, *, worker: str | None = None
    ) -> None:
        self._context = context
        self._queue: queue.SimpleQueue[Sequence[_Arrival]] = queue.SimpleQueue()
        self._limit = QUEUED_BATCHES * context.settings.ingest.batch_events
        self._link = self._make_link(worker)
        self._came = self._went = 0  # messages; each counted by one thread only
        self._stopping = threading.Event()
        self._committer = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._projection = None if project is None else ProjectionThread(context, project)
        self._chores = Repeating("ingest-chores", CHORES_EVERY_S, self._do_chores)
        self._configured: dict[DeviceId, DeviceConfiguration] = {}
        self._registry_seen = 0  # place in the server's log of the last change that devices know
        self.failure: str | None = None  # why nothing can be stored just now

    def start(self) -> None:
        """Begins to take in; what was received and not projected is projected first."""
        if self._projection is not None:
            self._projection.start()
        self._committer.start()
        self._chores.start()
        self._link.start()

    def stop(self) -> None:
        """Ends all threads; what is not committed stays unacknowledged and comes again."""
        self._stopping.set()
        self._chores.stop()
        self._committer.join()
        self._link.stop()
        if self._projection is not None:
            self._projection.stop()

    @property
    def linked_since(self) -> datetime | None:
        """Since when the broker has us; `None` while it has not."""
        return self._link.linked_since

    @property
    def is_linked(self) -> bool:
        """Whether the broker has us and the database takes what comes."""
        return self.linked_since is not None and self.failure is None

    def command(self, device: DeviceId, command: Command) -> None:
        """Signs it and sends it to that device. Any thread."""
        keys = self._context.keys
        # A device that was away may believe a former key only, until this tells it of the new one.
        former = keys.former_signing if isinstance(command, DeviceConfiguration) else ()
        signed = [encode_signed(device, command, key) for key in (*former, keys.signing)]
        self._link.publish((device, Channel.COMMANDS, one) for one in signed)

    def _make_link(self, worker: str | None) -> BrokerLink:
        settings, name = self._context.settings.broker, self._context.settings.broker.username
        password = broker_accounts.own_password(self._context)
        tls, now = make_broker_context(self._context), self._context.now
        if settings.amqp:
            return AmqpConsumer(
                settings, password=password, tls=tls, take=self._take, window=self._limit, now=now
            )
        return Subscriber(
            settings,
            password=password,
            client_id=name if worker is None else f"{name}.{worker}",
            tls=tls,
            take=self._take,
            has_room=self._has_room,
            now=now,
        )

    def _take(self, read: Sequence[Delivery]) -> None:
        """In the network's thread: reading a message and writing the log then go side by side."""
        self._came += len(read)
        now = self._context.now()
        self._queue.put([(one, _file(one, now) if _is_event(one) else None) for one in read])

    def _has_room(self) -> bool:
        return self._waiting() < self._limit

    def _waiting(self) -> int:
        return self._came - self._went

    def _run(self) -> None:
        while not self._stopping.is_set():
            batch = self._next_batch()
            if not batch:
                continue
            try:
                self._store(batch)
            except Exception:  # noqa: BLE001 - a thread's outermost loop
                # Not receipted, so the devices send it again.
                _log.exception("batch failed", messages=len(batch))

    def _next_batch(self) -> list[_Arrival]:
        """About a full batch, or what came until the stream paused; empty after a quiet while."""
        limits = self._context.settings.ingest
        try:
            batch = list(self._queue.get(timeout=POLL_S))
        except queue.Empty:
            return []
        deadline = time.monotonic() + limits.batch_wait_ms / 1000
        try:
            while len(batch) < limits.batch_events:
                batch += self._queue.get(timeout=self._patience_s(deadline))
        except queue.Empty:
            pass
        self._went += len(batch)
        return batch

    def _patience_s(self, deadline: float) -> float:
        return max(0.0, min(IDLE_S, deadline - time.monotonic()))

    def _store(self, batch: Sequence[_Arrival]) -> None:
        """Commit, acknowledge, send receipts, and have the rest of the work done elsewhere."""
        events = [filed for _, filed in batch if filed is not None]
        news = [
            LinkNews(Incoming(one.topic, one.payload), one.retained)
            for one, filed in batch
            if filed is None
        ]
        with metrics.BATCH_SECONDS.time():
            receipts = self._until_stored(lambda: self._append(events)) if events else []
            online = self._until_stored(lambda: device_links.take(self._context, news))
        if receipts is None or online is None:
            return  # told to stop before the database took it
        self._link.acknowledge([one for one, _ in batch])
        self._send(receipts)
        if self._projection is not None:
            self._projection.add((device, receipt.epoch) for device, receipt in receipts)
        self._greet(online)
        metrics.MESSAGES.labels("events").inc(len(events))
        metrics.MESSAGES.labels("health").inc(len(news))
        metrics.WAITING.set(self._waiting())

    def _until_stored(self, store: Callable[[], T]) -> T | None:
        """Tries again until the database takes it; `None` if told to stop before."""
        wait_s = FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                stored = store()
            except OperationalError as error:  # locked, full, down: not the messages' fault
                self.failure = str(error.orig)
                metrics.STORE_FAILURES.inc()
                _log.error("database refuses, trying again", reason=self.failure, wait_s=wait_s)
                self._stopping.wait(wait_s)
                wait_s = min(2 * wait_s, LAST_RETRY_S)
            else:
                self.failure = None
                return stored
        return None

    def _append(self, events: Sequence[Filed]) -> list[Addressed]:
        """Appends; a message that the database can't take is found by halving, and set aside."""
        try:
            return ingest.append_filed(self._context, events)
        except OperationalError:
            raise
        except SQLAlchemyError as error:
            if len(events) == 1:
                _log.error("a message can't be stored", kind=type(error).__name__)
                metrics.UNSTORABLE.inc()
                return ingest.set_aside(self._context, events[0], type(error).__name__)
            middle = len(events) // 2
            return self._append(events[:middle]) + self._append(events[middle:])

    def _send(self, receipts: Iterable[Addressed]) -> None:
        key = self._context.keys.signing
        self._link.publish(
            (device, Channel.RECEIPTS, encode_signed(device, receipt, key))
            for device, receipt in receipts
        )

    def _greet(self, online: Iterable[Stream]) -> None:
        """A device that came back is told what it is and how far its events are committed."""
        for stream in online:
            device = DeviceId(stream[0])
            # First: the receipt may be signed with a key that it does not know yet.
            self._configured.pop(device, None)
            self._configure([device])
            self._send([device_receipts.state_of(self._context, stream)])

    def _configure(self, devices: Iterable[DeviceId]) -> None:
        """Sends each its configuration, if it is not the one that was sent last."""
        for device in devices:
            configuration = enrolment.configuration_of(self._context, device)
            if self._configured.get(device) == configuration:
                continue
            self.command(device, configuration)
            self._configured[device] = configuration

    def _do_chores(self) -> None:
        """Asks again for what is missing; tells devices what changed about them."""
        if self.linked_since is None:
            return
        self._send(device_receipts.remind(self._context))
        with self._context.database.reading() as db:
            changed_at = max(server_log.last_sequence_of(db, kind) for kind in CHANGES)
        if changed_at != self._registry_seen:
            self._configure(list(self._configured))
            self._registry_seen = changed_at


def _file(delivery: Delivery, received_at: datetime) -> Filed:
    message = Incoming(delivery.topic, delivery.payload)
    try:
        return Filed(message, file_message(message, received_at))
    except Exception as error:  # noqa: BLE001 - one message must never end the network's thread
        _log.exception("a message can't be read")
        reason = f"can't be read: {type(error).__name__}"
        return Filed(message, misfit(message, reason, device_of(message.topic)))


def _is_event(delivery: Delivery) -> bool:
    return delivery.topic.endswith(EVENTS_ENDING)
