"""The server's one MQTT connection: messages in, unacknowledged; receipts and commands out.

One thread of ours runs the client and alone touches it: it reads all that is there before it hands
it on, and writes acknowledgements a batch at a time. The client's own thread waits in `select` for
each message and wakes itself for each acknowledgement: half of what a message then costs. Few calls
to the system, see buffered_socket.py.
"""

import select
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from central_server.broker_settings import BrokerSettings
from central_server.mqtt.broker_link import Delivery
from central_server.mqtt.buffered_socket import BufferedSocket
from central_server.mqtt.link_thread import LinkThread
from event_protocol.topics import Channel, topics_of_all

_log = structlog.get_logger()

KEEPALIVE_S = 60
READ_AT_ONCE = 250  # messages; then acknowledgements get their turn
IDLE_MS = 1000  # how often the client looks after its keep-alive
FULL_MS = 5  # how soon is looked for room again
# Telemetry at QoS 0: the next one says more than a repeated old one.
_QOS = {Channel.EVENTS: 1, Channel.STATUS: 1, Channel.TELEMETRY: 0}


class _Client(mqtt.Client):
    """paho's client on a socket that reads ahead; there is no public way to give it one."""

    def _create_socket(self) -> BufferedSocket:
        return BufferedSocket(super()._create_socket())

    def buffered_socket(self) -> BufferedSocket | None:
        """The one in use, if there is one."""
        return cast(BufferedSocket | None, self.socket())


class Subscriber(LinkThread):
    """A persistent session under a fixed client id.

    While `has_room` says no, nothing is read, which holds the broker back.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        password: str,
        client_id: str,
        tls: ssl.SSLContext | None,
        take: Callable[[Sequence[Delivery]], None],
        has_room: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        super().__init__("mqtt", take=take, now=now)
        self._settings, self._has_room = settings, has_room
        self._has_read = 0  # messages in this turn
        self._waker, self._wakes = socket.socketpair()
        self._waker.setblocking(False)
        self._client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,  # the broker keeps what comes while we are away
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        self._client.username_pw_set(settings.username, password)
        self._client.max_inflight_messages_set(0)  # receipts need no window of their own
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def stop(self) -> None:
        """Closes the link; what was not acknowledged is delivered again next time."""
        super().stop()
        # The callbacks close a circle; without it the client gives its sockets back at once.
        self._client.on_connect = self._client.on_disconnect = self._client.on_message = None
        self._waker.close()
        self._wakes.close()

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # woken often enough already
            self._waker.send(b"\0")

    # --- all below runs in the network's thread --------------------------------------------------

    def _serve(self) -> None:
        try:
            self._client.connect(self._settings.host, self._settings.port, KEEPALIVE_S)
        except OSError as error:
            _log.warning("broker can't be reached", reason=str(error))
            return
        try:
            while self._client.socket() is not None and not self._stopping.is_set():
                self._turn()
        except BaseException:
            if (link := self._client.buffered_socket()) is not None:
                link.close()
            raise
        if self._stopping.is_set():
            self._write()
            self._client.disconnect()

    def _turn(self) -> None:
        """Waits for something to do, does it, and lets the client look after its link."""
        link = self._client.buffered_socket()
        if link is None:
            return
        has_room = self._has_room()
        poller = select.poll()  # not `select`: that ends at 1,024 open files
        poller.register(self._wakes, select.POLLIN)
        writes = select.POLLOUT if self._client.want_write() or link.unsent else 0
        poller.register(link, writes | (select.POLLIN if has_room else 0))
        is_pending = has_room and link.pending() > 0
        ready = dict(poller.poll(0 if is_pending else IDLE_MS if has_room else FULL_MS))
        if self._wakes.fileno() in ready:
            self._wakes.recv(4096)
        link.hold()  # a batch's acknowledgements go in one piece
        self._write()
        link.flush()
        if is_pending or ready.get(link.fileno(), 0) & ~select.POLLOUT:
            self._read_on()
        if self._client.want_write():
            self._client.loop_write()
        self._client.loop_misc()

    def _read_on(self) -> None:
        """Reads until there is nothing more, or enough for once, and hands it on."""
        self._has_read = 0
        while (before := self._has_read) < READ_AT_ONCE:
            is_well = self._client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
            if not is_well or self._has_read == before:
                break
        self._hand_on()

    def _write(self) -> None:
        """What waits to be sent; it goes on waiting while the broker has not let us in."""
        if self.linked_since is None:
            return
        while self._done:
            one = self._done.popleft()
            if one.qos and one.link == self._link:
                self._client.ack(one.mid, one.qos)
        while self._outgoing:
            topic, payload = self._outgoing.popleft()
            self._client.publish(topic, payload, qos=1)

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        if reason.is_failure:
            _log.error("broker refuses the server", reason=str(reason))
            return
        client.subscribe([(topics_of_all(channel), qos) for channel, qos in _QOS.items()])
        self._note_link(host=self._settings.host, port=self._settings.port)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        if self.linked_since is not None:
            _log.warning("link to broker lost", reason=str(reason))
        self.linked_since = None

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self._has_read += 1
        self._note_read(
            Delivery(
                message.topic,
                bytes(message.payload),
                message.retain,
                message.mid,
                message.qos,
                self._link,
            )
        )
