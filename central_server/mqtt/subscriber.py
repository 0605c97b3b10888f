"""The server's one MQTT connection: messages in, unacknowledged; receipts and commands out."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from central_server.settings import BrokerSettings
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, topic_of, topics_of_all

_log = structlog.get_logger()

KEEPALIVE_S = 60
MAX_RECONNECT_DELAY_S = 5
# Telemetry at QoS 0: the next one says more than a repeated old one.
_QOS = {Channel.EVENTS: 1, Channel.STATUS: 1, Channel.TELEMETRY: 0}


class Delivery(NamedTuple):
    """One message as the broker delivered it; `mid` and `qos` are for its acknowledgement."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    retained: bool


class Subscriber:
    """A persistent session under a fixed client id; reconnects by itself.

    `take` is called in the network's thread and may block: then nothing more is read, which holds
    the broker back. `acknowledge` and `publish` may be called from any thread.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        password: str,
        client_id: str,
        take: Callable[[Delivery], None],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._take = take
        self._now = now
        self.linked_since: datetime | None = None
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,  # the broker keeps what comes while we are away
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        self._client.username_pw_set(settings.username, password)
        self._client.max_inflight_messages_set(0)  # receipts need no window of their own
        self._client.reconnect_delay_set(1, MAX_RECONNECT_DELAY_S)
        if settings.tls:
            self._client.tls_set(ca_certs=str(settings.ca_file) if settings.ca_file else None)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connects in the background, and again whenever the link breaks."""
        self._client.connect_async(self._settings.host, self._settings.port, KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Closes the link; what was not acknowledged is delivered again next time."""
        self._client.disconnect()
        self._client.loop_stop()
        # The callbacks close a circle; without it the client gives its sockets back at once.
        self._client.on_connect = self._client.on_disconnect = self._client.on_message = None

    def acknowledge(self, delivery: Delivery) -> None:
        """Tells the broker that the message is safe here."""
        if delivery.qos:
            self._client.ack(delivery.mid, delivery.qos)

    def publish(self, device: DeviceId, channel: Channel, payload: bytes) -> None:
        """Sends to one device at QoS 1; while the link is down it waits in memory."""
        self._client.publish(topic_of(device, channel), payload, qos=1)

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        if reason.is_failure:
            _log.error("broker refuses the server", reason=str(reason))
            return
        client.subscribe([(topics_of_all(channel), qos) for channel, qos in _QOS.items()])
        self.linked_since = self._now()
        _log.info("linked to broker", host=self._settings.host, port=self._settings.port)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        if self.linked_since is not None:
            _log.warning("link to broker lost", reason=str(reason))
        self.linked_since = None

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self._take(
            Delivery(
                message.topic, bytes(message.payload), message.mid, message.qos, message.retain
            )
        )
