"""Takes in what devices send: reads and files it, hands it on in batches, and answers.

Nothing is acknowledged and no receipt leaves before the log writer has committed. While it can't,
the full queue stops the reading, which holds the broker back.
"""

import queue
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog

from central_server.domain.custody_log import KeysRotated
from central_server.domain.server_log import RegistryChanged
from central_server.mqtt.amqp_consumer import AmqpConsumer
from central_server.mqtt.broker_link import BrokerLink, Delivery
from central_server.mqtt.broker_tls import make_broker_context
from central_server.mqtt.subscriber import Subscriber
from central_server.mqtt.writer_messages import (
    Batch,
    Failed,
    News,
    Outcome,
    Projected,
    Ready,
    Refusing,
    Stored,
    Writer,
)
from central_server.services import broker_accounts, device_receipts, enrolment, metrics
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
UNDER_WAY = 2  # batches: the writer begins the next one while we still answer
IDLE_S = 0.005  # a pause in the stream: no use in letting the batch wait for more
POLL_S = 0.2  # how soon threads see that they should end
CHORES_EVERY_S = 5.0
# What changes something in devices' configurations.
CHANGES = tuple(str(kind.model_fields["type"].default) for kind in (RegistryChanged, KeysRotated))
EVENTS_ENDING = f"/{Channel.EVENTS}"

_Arrival = tuple[Delivery, Filed | None]  # filed if it is an event


class IngestService:
    """One process's intake. `worker` tells apart several processes on the same broker.

    Threads: the network's, which files; one that makes batches; one for chores; the writer's, which
    bring its answers.
    """

    def __init__(
        self, context: ServerContext, writer: Writer, *, worker: str | None = None
    ) -> None:
        self._context, self._writer = context, writer
        self._queue: queue.SimpleQueue[Sequence[_Arrival]] = queue.SimpleQueue()
        self._limit = QUEUED_BATCHES * context.settings.ingest.batch_events
        self._link = self._make_link(worker)
        self._came = self._went = 0  # messages; each counted by one thread only
        self._free = threading.Semaphore(UNDER_WAY)
        self._stopping = threading.Event()
        self._batcher = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._chores = Repeating("ingest-chores", CHORES_EVERY_S, self._do_chores)
        self._configured: dict[DeviceId, DeviceConfiguration] = {}
        self._registry_seen = 0  # place in the server's log of the last change that devices know
        # Why nothing can be stored just now.
        self.failure: str | None = "the log writer begins"

    def start(self) -> None:
        """Begins to take in; what was received and not projected is projected first."""
        self._writer.start(self)
        self._batcher.start()
        self._chores.start()
        self._link.start()

    def stop(self) -> None:
        """Ends all threads; what is not committed stays unacknowledged and comes again."""
        self._stopping.set()
        self._chores.stop()
        self._batcher.join()
        self._writer.stop()
        self._link.stop()

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
            if batch := self._next_batch():
                self._submit(batch)

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
        return batch

    def _patience_s(self, deadline: float) -> float:
        return max(0.0, min(IDLE_S, deadline - time.monotonic()))

    def _submit(self, batch: Sequence[_Arrival]) -> None:
        while not self._free.acquire(timeout=POLL_S):
            if self._stopping.is_set():
                return
        made = Batch(
            events=[filed for _, filed in batch if filed is not None],
            news=[
                LinkNews(Incoming(one.topic, one.payload), one.retained)
                for one, filed in batch
                if filed is None
            ],
            deliveries=[one for one, _ in batch],
        )
        try:
            self._writer.submit(made)
        except Exception:  # noqa: BLE001 - a thread's outermost loop: it must go on
            _log.exception("batch failed")
            self.on_outcome(made, Failed())

    def on_outcome(self, batch: Batch, outcome: Outcome) -> None:
        """The writer's word on that batch."""
        try:
            if isinstance(outcome, Stored):
                self._answer(batch, outcome)
        except Exception:  # noqa: BLE001 - a thread's outermost loop
            _log.exception("answer failed")  # devices that miss a receipt send again
        finally:
            self._went += len(batch.deliveries)
            self._free.release()
            metrics.WAITING.set(self._waiting())

    def on_news(self, news: News) -> None:
        """What the writer met meanwhile."""
        if isinstance(news, Ready):
            self.failure = None
        elif isinstance(news, Refusing):
            self.failure = news.reason
            metrics.STORE_FAILURES.inc()
        elif isinstance(news, Projected):
            metrics.count_projection(news.seconds, news.is_failure)
        else:
            metrics.UNSTORABLE.inc()

    def _answer(self, batch: Batch, stored: Stored) -> None:
        self.failure = None
        self._link.acknowledge(batch.deliveries)
        self._link.publish(stored.receipts)
        self._greet(stored.online)
        metrics.BATCH_SECONDS.observe(time.monotonic() - batch.at_hand)
        metrics.MESSAGES.labels("events").inc(len(batch.events))
        metrics.MESSAGES.labels("health").inc(len(batch.news))

    def _send(self, receipts: Iterable[Addressed]) -> None:
        self._link.publish(device_receipts.sign(self._context, receipts))

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
