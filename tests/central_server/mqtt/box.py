"""A paired device on a real broker's line, for tests of the intake."""

import queue
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from event_protocol.messages import (
    COMMAND,
    RECEIPT,
    DeviceStatus,
    Receipt,
    Telemetry,
    decode_signed,
    encode_message,
)
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, topic_of

DEVICE = DeviceId("device-a")
SECRET = "secret"


class Box:
    """A device on the line: publishes, and keeps receipts and commands that are truly signed."""

    def __init__(self, context: ServerContext) -> None:
        self._key = context.keys.signing_public
        self.receipts: queue.Queue[Receipt] = queue.Queue()
        self.commands: queue.Queue[Any] = queue.Queue()
        self._ready: queue.Queue[None] = queue.Queue()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=DEVICE,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self._client.max_inflight_messages_set(0)
        self._client.reconnect_delay_set(1, 1)
        self._client.username_pw_set(DEVICE, SECRET)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(topic_of(DEVICE, Channel.RECEIPTS), 1), (topic_of(DEVICE, Channel.COMMANDS), 1)]
        )
        self._client.on_subscribe = lambda *_: self._ready.put(None)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", context.settings.broker.port)
        self._client.loop_start()
        self._ready.get(timeout=10)

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        payload = bytes(message.payload)
        if message.topic.endswith("receipts"):
            receipt = decode_signed(DEVICE, RECEIPT, payload, self._key)
            assert receipt is not None, "not signed by the server"
            self.receipts.put(receipt)
        else:
            self.commands.put(decode_signed(DEVICE, COMMAND, payload, self._key))

    def send(self, messages: Iterable[Incoming]) -> None:
        for message in messages:
            self._client.publish(message.topic, message.payload, qos=1)

    def say(self, status: DeviceStatus | Telemetry, channel: Channel) -> None:
        self._client.publish(topic_of(DEVICE, channel), encode_message(status), qos=1)

    def wait_for(self, wanted: Callable[[Receipt], object], timeout_s: float = 15) -> Receipt:
        while True:
            receipt = self.receipts.get(timeout=timeout_s)
            if wanted(receipt):
                return receipt

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_connect = self._client.on_subscribe = self._client.on_message = None


def telemetry_at(time: datetime, boot: int) -> Telemetry:
    return Telemetry(
        time=time,
        boot=boot,
        agent_version="1",
        cameras={},
        cpu_percent=12.5,
        memory_mb=100,
        disk_free_mb=1000,
        outbox_depth=7,
    )
