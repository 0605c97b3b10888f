"""The intake's connection to RabbitMQ: one of several workers that share its queues.

The MQTT plug-in publishes what devices send to `amq.topic` and delivers to them what is published
there. The queues are quorum queues: they outlive any one node of three.
"""

import random
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import pika
import structlog
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from central_server.broker_settings import BrokerSettings, address_of
from central_server.mqtt.broker_link import Delivery
from central_server.mqtt.link_thread import LinkThread
from event_protocol.topics import Channel, topics_of_all

_log = structlog.get_logger()

EXCHANGE = "amq.topic"  # the plug-in's own
EVENTS_QUEUE, TELEMETRY_QUEUE = "onestop.events", "onestop.telemetry"
# Births and last wills in line with the events: nothing of them is ever dropped. Telemetry is, the
# oldest first: the next one says more, and nobody may be there to fetch it for days.
QUEUES: dict[str, tuple[tuple[Channel, ...], dict[str, Any]]] = {
    EVENTS_QUEUE: ((Channel.EVENTS, Channel.STATUS), {}),
    TELEMETRY_QUEUE: ((Channel.TELEMETRY,), {"x-max-length": 20_000}),
}
_QUORUM = {"x-queue-type": "quorum"}

HEARTBEAT_S = 20  # a node that lost its power is noticed after two of them
CONNECT_WITHIN_S = 10.0
IDLE_S = 1.0
_PERSISTENT = pika.BasicProperties(delivery_mode=2)  # which the plug-in takes for QoS 1


class AmqpConsumer(LinkThread):
    """A connection to any of the nodes in `settings.amqp`, tried in random order.

    `window`: the broker delivers so many that are not acknowledged, and no more until they are.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        password: str,
        tls: ssl.SSLContext | None,
        take: Callable[[Sequence[Delivery]], None],
        window: int,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__("amqp", take=take, now=now)
        self._settings, self._password, self._tls = settings, password, tls
        self._window = window
        self._connection: pika.BlockingConnection | None = None

    def _wake(self) -> None:
        connection = self._connection
        if connection is not None:
            with suppress(AMQPError):  # it broke meanwhile
                connection.add_callback_threadsafe(_do_nothing)

    # --- all below runs in the network's thread --------------------------------------------------

    def _serve(self) -> None:
        try:
            self._connect_and_serve()
        except (AMQPError, OSError) as error:
            said = str(error) or type(error).__name__
            if self.linked_since is None:
                _log.warning("broker can't be reached", reason=said)
            else:
                _log.warning("link to broker lost", reason=said)
        finally:
            self._connection = self.linked_since = None
            self._read.clear()  # it comes again

    def _connect_and_serve(self) -> None:
        nodes = [self._parameters(node) for node in self._settings.amqp]
        random.shuffle(nodes)
        with pika.BlockingConnection(nodes) as connection:
            channel = connection.channel()
            self._consume(channel)
            self._connection = connection
            self._note_link(nodes=self._settings.amqp)
            while not self._stopping.is_set():
                connection.process_data_events(IDLE_S)
                self._hand_on()
                self._write(channel)
            self._write(channel)

    def _parameters(self, node: str) -> pika.ConnectionParameters:
        host, port = address_of(node)
        return pika.ConnectionParameters(
            host,
            port,
            credentials=pika.PlainCredentials(self._settings.username, self._password),
            ssl_options=None if self._tls is None else pika.SSLOptions(self._tls, host),
            heartbeat=HEARTBEAT_S,
            socket_timeout=CONNECT_WITHIN_S,
            stack_timeout=CONNECT_WITHIN_S,
            blocked_connection_timeout=CONNECT_WITHIN_S,
        )

    def _consume(self, channel: BlockingChannel) -> None:
        """Makes the queues at first, and shares in them."""
        channel.basic_qos(prefetch_count=self._window)
        for queue, (channels, limits) in QUEUES.items():
            channel.queue_declare(queue, durable=True, arguments={**_QUORUM, **limits})
            for one in channels:
                channel.queue_bind(queue, EXCHANGE, _to_key(topics_of_all(one)))
            channel.basic_consume(queue, self._on_message)

    def _on_message(
        self, _channel: object, method: Any, _properties: object, payload: bytes
    ) -> None:
        topic = method.routing_key.replace(".", "/")  # no name holds a dot
        self._note_read(Delivery(topic, payload, False, method.delivery_tag, 1, self._link))

    def _write(self, channel: BlockingChannel) -> None:
        """One acknowledgement for all that is done with, then what waits to be sent."""
        newest = 0
        while self._done:
            one = self._done.popleft()
            if one.link == self._link:
                newest = one.mid
        if newest:
            channel.basic_ack(newest, multiple=True)
        while self._outgoing:
            topic, payload = self._outgoing.popleft()
            channel.basic_publish(EXCHANGE, _to_key(topic), payload, _PERSISTENT)


def _to_key(topic: str) -> str:
    """As the plug-in writes a topic, or a filter, in AMQP."""
    return topic.replace("/", ".").replace("+", "*")


def _do_nothing() -> None:
    """What a connection is woken with."""
