"""The least of a server: a real MQTT client that keeps what arrives, checks the chain, receipts it.

Its memory is its database: `forget` is a restored backup, `is_answering = False` a server that
commits nothing.
"""

import threading
from datetime import UTC, datetime
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from event_protocol.codec import Accepted, decode_event
from event_protocol.messages import (
    DeviceStatus,
    Receipt,
    Resend,
    Telemetry,
    decode_message,
    encode_signed,
)
from event_protocol.names import NO_HASH, DeviceId
from event_protocol.topics import Channel, topic_of
from tests.processes.ports import wait_until


class ReceiptServer:
    """Files one device's events by number; a number that comes with other bytes is a fault."""

    def __init__(
        self, port: int, device: DeviceId, key: Ed25519PrivateKey, username: str, password: str
    ) -> None:
        self.device = device
        self.key = key
        self.is_answering = True
        self.events: dict[tuple[int, int], Accepted] = {}
        self.arrivals: list[int] = []  # sequences as they came, repeats included
        self.faults: list[str] = []
        self.statuses: list[DeviceStatus] = []
        self.telemetry: list[Telemetry] = []
        self._lock = threading.RLock()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id="receipt-server",
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        self._client.username_pw_set(username, password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._port = port

    def start(self) -> Self:
        """Connect, and return once the subscription stands."""
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        wait_until(self._client.is_connected, what="server connected")
        return self

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def through(self) -> int:
        """The newest contiguous number of the newest epoch."""
        with self._lock:
            epoch = max((epoch for epoch, _ in self.events), default=0)
            number = 0
            while (epoch, number + 1) in self.events:
                number += 1
            return number

    def forget(self) -> None:
        """As a server whose database was put back to an empty one."""
        with self._lock:
            self.events.clear()
            self.arrivals.clear()

    def drop(self, sequence: int) -> None:
        """Lose one event."""
        with self._lock:
            self.events = {at: e for at, e in self.events.items() if at[1] != sequence}

    def check_chain(self) -> list[Accepted]:
        """All events in order; each names its predecessor's hash, none is missing."""
        with self._lock:
            ordered = [self.events[at] for at in sorted(self.events)]
            faults = list(self.faults)
        assert not faults, faults
        previous = NO_HASH
        for number, event in enumerate(ordered, 1):
            assert event.position.sequence == number
            assert event.event.prevhash == previous
            previous = event.hash
        return ordered

    def send_receipt(
        self,
        *,
        through: int | None = None,
        resend: Resend | None = None,
        key: Ed25519PrivateKey | None = None,
    ) -> None:
        """A signed receipt for what is held, or for what is named."""
        with self._lock:
            epoch = max((epoch for epoch, _ in self.events), default=1)
            number = self.through if through is None else through
            held = self.events.get((epoch, number))
        receipt = Receipt(
            epoch=epoch,
            through=number,
            hash=held.hash if held else None,
            resend=resend,
            server_time=datetime.now(UTC),  # noqa: TID251 - a test's server has the machine's clock
        )
        self._client.publish(
            topic_of(self.device, Channel.RECEIPTS),
            encode_signed(self.device, receipt, key or self.key),
            qos=1,
        )

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        channels = (Channel.EVENTS, Channel.STATUS, Channel.TELEMETRY)
        client.subscribe([(topic_of(self.device, channel), 1) for channel in channels])

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        if message.topic.endswith(Channel.EVENTS):
            self._take_event(payload)
        elif message.topic.endswith(Channel.STATUS):
            status = decode_message(DeviceStatus, payload)
            assert status is not None
            self.statuses.append(status)
        else:
            telemetry = decode_message(Telemetry, payload)
            assert telemetry is not None
            self.telemetry.append(telemetry)

    def _take_event(self, payload: bytes) -> None:
        decoded = decode_event(self.device, payload)
        with self._lock:
            if not isinstance(decoded, Accepted):
                self.faults.append(str(decoded))
                return
            at = (decoded.position.epoch, decoded.position.sequence)
            self.arrivals.append(at[1])
            if self.events.setdefault(at, decoded).hash != decoded.hash:
                self.faults.append(f"{at} came with other bytes")
        if self.is_answering:
            self.send_receipt()
