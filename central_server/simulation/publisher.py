"""Publishes a simulated fleet's events over real MQTT, one connection for each device.

As the agent's uplink: an own window, in order, and only the server's signed receipt ends the work.
What has no receipt is said again. Nothing is kept on disk: the seed gives the same chain again.
"""

import math
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTMessageInfo,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from central_server.simulation.fleet import AGENT_VERSION, FleetEvent
from central_server.simulation.observations import CAMERA
from event_protocol.enrolment import Enrolment
from event_protocol.events import CameraState
from event_protocol.messages import (
    RECEIPT,
    CameraTelemetry,
    DeviceStatus,
    Link,
    Receipt,
    Resend,
    Telemetry,
    decode_signed,
    encode_message,
)
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, topic_of

WINDOW = 500
RESEND_AFTER_S = 10.0
TELEMETRY_EVERY_S = 15.0
CONNECT_WITHIN_S = 30.0  # at first; a broker that starts together with the fleet is there by then
IDLE_S = 0.2
CLOSING_TIMEOUT_S = 2.0


class FleetError(Exception):
    """The fleet can't go on; the message says why and what helps."""


@dataclass(frozen=True, slots=True)
class FleetMember:
    """One paired device, and its events in order, made as they are asked for.

    `tls` is by what it reaches a broker that speaks TLS.
    """

    enrolment: Enrolment
    epoch: int
    events: Iterator[FleetEvent]
    tls: ssl.SSLContext | None = None


class DeviceConnection:
    """One device's MQTT connection: paho's thread takes receipts, the fleet's calls `pump`."""

    def __init__(
        self,
        member: FleetMember,
        changed: threading.Event,
        resend_after_s: float,
        connect_within_s: float,
    ) -> None:
        self.device = DeviceId(member.enrolment.device)
        self.delivered_until: datetime | None = None  # time of the newest event with a receipt
        self._delivered_through = 0
        self._give_up_at = time.monotonic() + connect_within_s
        self.is_done = False
        self.is_caught_up = False  # all that is due has its receipt
        self._member = member
        self._changed = changed
        self._server_key = bytes.fromhex(member.enrolment.configuration.signing_public_key)
        self._sent: deque[FleetEvent] = deque()  # published, without a receipt
        self._next: FleetEvent | None = next(member.events, None)
        self._lock = threading.Lock()  # guards the three that paho's thread writes
        self._receipt: Receipt | None = None
        self._resend: Resend | None = None
        self._refusal: str | None = None
        self._connected = threading.Event()
        self._resend_after_s = resend_after_s
        self._resend_at = 0.0
        self._telemetry_at = 0.0
        self._client = self._make_client()

    def start(self) -> None:
        """Begin to connect; returns at once."""
        broker = self._member.enrolment.broker
        self._client.connect_async(broker.host, broker.port, keepalive=60)
        self._client.loop_start()

    def stop(self) -> None:
        """Say goodbye and end paho's thread."""
        if self._connected.is_set():
            self._publish_status(Link.OFFLINE).wait_for_publish(CLOSING_TIMEOUT_S)
        self._client.disconnect()
        self._client.loop_stop()

    def pump(self, now: datetime) -> None:
        """Take in what receipts said and publish what is due; raises `FleetError`."""
        with self._lock:
            receipt, resend = self._receipt, self._resend
            self._receipt = self._resend = None
        if receipt is not None:
            self._apply(receipt)
        if not self._connected.is_set():
            if time.monotonic() > self._give_up_at:
                raise FleetError(self._no_broker())
            return
        self._give_up_at = math.inf  # one that was there comes back
        if resend is not None:
            self._publish([e for e in self._sent if resend.first <= e.sequence <= resend.last])
        if self._sent and time.monotonic() >= self._resend_at:
            self._publish(self._sent)
        self._publish_new(now)
        self._publish_telemetry(now)
        self.is_caught_up = not self._sent and (self._next is None or self._next.deliver_at > now)
        self.is_done = self._next is None and not self._sent

    def _apply(self, receipt: Receipt) -> None:
        if receipt.rejected:
            raise FleetError(f"the server rejected {self.device}: {receipt.rejected[0].reason}")
        while self._sent and self._sent[0].sequence <= receipt.through:
            self._note_delivered(self._sent.popleft(), receipt)
        # The server may know more than was sent now: this fleet ran before.
        while self._next is not None and self._next.sequence <= receipt.through:
            self._note_delivered(self._next, receipt)
            self._next = next(self._member.events, None)
        if self._next is None and receipt.through > self._delivered_through:
            raise self._other_events()  # there is none left whose hash could be compared

    def _note_delivered(self, event: FleetEvent, receipt: Receipt) -> None:
        if event.sequence == receipt.through and event.hash != receipt.hash:
            raise self._other_events()
        self._delivered_through = event.sequence
        self.delivered_until = event.deliver_at
        self._resend_at = time.monotonic() + self._resend_after_s

    def _other_events(self) -> FleetError:
        return FleetError(
            f"the server holds other events of {self.device}: "
            "simulate with the seed and dates of the first time, or into an empty server"
        )

    def _no_broker(self) -> str:
        with self._lock:
            refusal = self._refusal
        if refusal is not None:  # for so long: a broker may learn of the pairing only now
            return f"the broker refused {self.device}: {refusal}"
        broker = self._member.enrolment.broker
        return f"no broker at {broker.host}:{broker.port}: start it, and the server, first"

    def _publish_new(self, now: datetime) -> None:
        while self._next is not None and len(self._sent) < WINDOW and self._next.deliver_at <= now:
            if not self._sent:
                self._resend_at = time.monotonic() + self._resend_after_s
            self._sent.append(self._next)
            self._client.publish(self._topic(Channel.EVENTS), self._next.payload, qos=1)
            self._next = next(self._member.events, None)

    def _publish(self, events: Sequence[FleetEvent] | deque[FleetEvent]) -> None:
        for event in events:
            self._client.publish(self._topic(Channel.EVENTS), event.payload, qos=1)
        self._resend_at = time.monotonic() + self._resend_after_s

    def _publish_telemetry(self, now: datetime) -> None:
        if time.monotonic() < self._telemetry_at:
            return
        self._telemetry_at = time.monotonic() + TELEMETRY_EVERY_S
        telemetry = Telemetry(
            time=now,
            boot=1,
            agent_version=AGENT_VERSION,
            cameras={CAMERA: CameraTelemetry(state=CameraState.OK, fps=10, frame_age_ms=60)},
            cpu_percent=20,
            memory_mb=150,
            disk_free_mb=20_000,
            outbox_depth=len(self._sent),
            clockoffsetms=0,
        )
        self._client.publish(self._topic(Channel.TELEMETRY), encode_message(telemetry), qos=0)

    def _topic(self, channel: Channel) -> str:
        return topic_of(self.device, channel)

    # -- paho's thread ---------------------------------------------------------------------------

    def _make_client(self) -> Client:
        broker = self._member.enrolment.broker
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.device,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        client.username_pw_set(broker.username, broker.password)
        if self._member.tls is not None:
            client.tls_set_context(self._member.tls)
        client.max_inflight_messages_set(0)  # the window is ours, as in the agent
        client.will_set(self._topic(Channel.STATUS), self._status(Link.OFFLINE), qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _status(self, link: Link) -> bytes:
        return encode_message(DeviceStatus(status=link, epoch=self._member.epoch, boot=1))

    def _publish_status(self, link: Link) -> MQTTMessageInfo:
        return self._client.publish(
            self._topic(Channel.STATUS), self._status(link), qos=1, retain=True
        )

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            with self._lock:
                self._refusal = str(reason)
        else:
            client.subscribe(self._topic(Channel.RECEIPTS), 1)
            self._publish_status(Link.ONLINE)
            self._connected.set()
        self._changed.set()

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._connected.clear()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        receipt = decode_signed(self.device, RECEIPT, bytes(message.payload), self._server_key)
        if receipt is None or receipt.epoch != self._member.epoch:
            return
        with self._lock:
            if self._receipt is None or receipt.through >= self._receipt.through:
                self._receipt = receipt
            self._resend = receipt.resend or self._resend
        self._changed.set()


def publish_fleet(
    members: Sequence[FleetMember],
    now: Callable[[], datetime],
    stopping: threading.Event,
    on_progress: Callable[[DeviceConnection], None],
    resend_after_s: float = RESEND_AFTER_S,
    connect_within_s: float = CONNECT_WITHIN_S,
) -> None:
    """Publish until every event has its receipt, or `stopping` is set; raises `FleetError`."""
    changed = threading.Event()
    connections = [
        DeviceConnection(member, changed, resend_after_s, connect_within_s) for member in members
    ]
    for connection in connections:
        connection.start()
    try:
        while not stopping.is_set() and not all(c.is_done for c in connections):
            for connection in connections:
                connection.pump(now())
                on_progress(connection)
            changed.wait(IDLE_S)
            changed.clear()
    finally:
        for connection in connections:
            connection.stop()
