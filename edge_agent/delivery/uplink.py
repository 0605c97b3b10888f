"""Carries the outbox to the server over MQTT; only the server's signed receipt ends its work.

A broker may lose whatever it likes: what has no receipt goes out again. Never blocks a camera or
the kiosk: they only meet the outbox.
"""

import random
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.delivery.clock_offset import ClockOffset
from edge_agent.delivery.health import HealthReporter, make_status
from edge_agent.delivery.identity import IdentityError
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.outbox_database import OutboxError
from edge_agent.delivery.receipts import ReceiptOutcome
from edge_agent.delivery.send_window import SendWindow
from edge_agent.delivery.tls import make_broker_context
from event_protocol.enrolment import Enrolment
from event_protocol.messages import (
    COMMAND,
    RECEIPT,
    Command,
    DeviceConfiguration,
    Link,
    Receipt,
    ReceiptFault,
    decode_signed,
    encode_message,
)
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, topic_of

CONNECT_TIMEOUT_S = 10
READ_AT_ONCE = 100  # events held in memory while they are handed to the client
IDLE_TICK_S = 0.2
FAULT_OF = {
    ReceiptOutcome.AHEAD: ReceiptFault.AHEAD,
    ReceiptOutcome.MISMATCH: ReceiptFault.MISMATCH,
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UplinkTiming:
    """How much may be under way, and when to try again."""

    window: int = 500
    resend_after_s: float = 10
    telemetry_every_s: float = 15
    keepalive_s: int = 30  # a connection that died unnoticed is given up after twice that


class Uplink:
    """One sender thread beside paho's network thread; both end with `stop`.

    `on_command` gets what the server asks or newly says about this device, signature verified.
    `tls` holds the box's certificate, where brokers want one.
    """

    def __init__(
        self,
        enrolment: Enrolment,
        outbox: Outbox,
        health: HealthReporter,
        on_command: Callable[[Command], None],
        now: Callable[[], datetime],
        timing: UplinkTiming | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._device = DeviceId(enrolment.device)
        self._server_key = bytes.fromhex(enrolment.configuration.signing_public_key)
        self._outbox = outbox
        self._health = health
        self._on_command = on_command
        self._now = now
        self._timing = timing or UplinkTiming()
        self._window = SendWindow(
            self._timing.window, self._timing.resend_after_s, random.SystemRandom().random
        )
        self._window_lock = threading.Lock()
        self._offset = ClockOffset()
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self._telemetry_due = time.monotonic()
        self._broker = enrolment.broker
        self._tls = tls or make_broker_context(enrolment.broker)
        self._client = self._make_client()
        self._sender = threading.Thread(target=self._run, name="uplink", daemon=True)

    @property
    def is_connected(self) -> bool:
        """Whether the broker let us in and the connection stands."""
        return self._connected.is_set()

    def start(self) -> None:
        """Begin to connect and send; returns at once."""
        self._client.connect_async(
            self._broker.host, self._broker.port, keepalive=self._timing.keepalive_s
        )
        self._client.loop_start()
        self._sender.start()

    def stop(self) -> None:
        """Say goodbye if there is somebody to say it to, and end both threads."""
        self._stopping.set()
        self._outbox.changed.set()
        self._sender.join()
        if self.is_connected:
            self._publish_status(Link.OFFLINE, wait_s=2)
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._device,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        client.username_pw_set(self._broker.username, self._broker.password)
        if self._broker.tls:
            client.tls_set_context(self._tls)
        # paho's own window halves the rate (measured 5-6k/s against 12.6k/s); ours is bounded.
        client.max_inflight_messages_set(0)
        dice = random.SystemRandom()
        client.reconnect_delay_set(dice.randint(1, 3), dice.randint(30, 90))
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.will_set(
            topic_of(self._device, Channel.STATUS),
            encode_message(make_status(self._outbox, Link.OFFLINE)),
            qos=1,
            retain=True,
        )
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    # -- paho's thread ---------------------------------------------------------------------------

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            log.error("broker_refused", reason=str(reason))
            return
        own = (topic_of(self._device, channel) for channel in (Channel.RECEIPTS, Channel.COMMANDS))
        client.subscribe([(topic, 1) for topic in own])
        self._publish_status(Link.ONLINE)
        if not flags.session_present:
            with self._window_lock:
                self._window.rewind()
        log.info("broker_connected", session_present=flags.session_present)
        self._connected.set()
        self._outbox.changed.set()

    def _on_connect_fail(self, _client: Client, _userdata: object) -> None:
        log.warning("broker_unreachable", host=self._broker.host, port=self._broker.port)

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._connected.clear()
        if not self._stopping.is_set():
            log.warning("broker_lost", reason=str(reason))

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        payload = bytes(message.payload)
        if message.topic == topic_of(self._device, Channel.RECEIPTS):
            receipt = decode_signed(self._device, RECEIPT, payload, self._server_key)
            if receipt is None:
                log.error("receipt_refused", reason="not signed by our server, or malformed")
            else:
                self._take_receipt(receipt)
        else:
            self._take_command(payload)

    def _take_receipt(self, receipt: Receipt) -> None:
        self._outbox.clock_offset_ms = self._offset.learn(receipt.server_time, self._now())
        try:
            outcome = self._outbox.apply_receipt(receipt)
        except OutboxError as error:
            log.error("receipt_not_stored", reason=str(error))  # it comes again
            return
        for rejection in receipt.rejected:
            log.error("event_rejected", sha256=rejection.sha256, reason=rejection.reason)
        if outcome is not ReceiptOutcome.OTHER_EPOCH:
            self._outbox.receipt_fault = FAULT_OF.get(outcome)
        with self._window_lock:
            if outcome is ReceiptOutcome.ADVANCED:
                self._window.note_progress(time.monotonic())
            elif outcome is ReceiptOutcome.RESTORED:
                log.warning("server_was_restored", through=receipt.through)
                self._window.rewind()
            elif outcome in FAULT_OF:
                log.error("receipt_differs_from_chain", outcome=outcome, through=receipt.through)
            wanted = receipt.resend
            if wanted is not None and wanted.epoch == self._outbox.tip.epoch:
                self._window.request(wanted, self._outbox.tip.sequence)
        self._outbox.changed.set()

    def _take_command(self, payload: bytes) -> None:
        command = decode_signed(self._device, COMMAND, payload, self._server_key)
        if command is None:
            log.error("command_refused", reason="not signed by our server, or malformed")
        elif isinstance(command, DeviceConfiguration):
            self._take_configuration(command)
        else:
            self._on_command(command)  # without a word: at the unit nobody must see it

    def _take_configuration(self, configuration: DeviceConfiguration) -> None:
        if configuration.device != self._device:
            log.error("command_refused", reason="meant for another device")
            return
        try:
            self._on_command(configuration)
        except (OSError, IdentityError) as error:
            log.error("configuration_not_stored", reason=str(error))
            return
        self._server_key = bytes.fromhex(configuration.signing_public_key)
        log.info("configuration_replaced", desks=len(configuration.desks))

    # -- our own thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._send_pending()
                self._send_telemetry()
            except Exception:
                # Outermost loop of the thread: a fault now must not end all sending.
                log.exception("uplink_fault")
                self._stopping.wait(1)
            self._outbox.changed.wait(IDLE_TICK_S)
            self._outbox.changed.clear()

    def _send_pending(self) -> None:
        topic = topic_of(self._device, Channel.EVENTS)
        while self.is_connected and not self._stopping.is_set():
            with self._window_lock:
                span = self._window.take_span(
                    self._outbox.receipted_through,
                    self._outbox.tip.sequence,
                    time.monotonic(),
                    READ_AT_ONCE,
                )
            if span is None:
                return
            events = self._outbox.read(*span)
            if len(events) <= span[1] - span[0]:
                log.warning("events_not_kept_any_more", first=span[0], last=span[1])
            for event in events:
                self._client.publish(topic, event.body, qos=1)

    def _send_telemetry(self) -> None:
        if not self.is_connected or time.monotonic() < self._telemetry_due:
            return
        self._telemetry_due = time.monotonic() + self._timing.telemetry_every_s
        payload = encode_message(self._health.measure())
        self._client.publish(topic_of(self._device, Channel.TELEMETRY), payload, qos=0)

    def _publish_status(self, link: Link, wait_s: float | None = None) -> None:
        payload = encode_message(make_status(self._outbox, link))
        sent = self._client.publish(
            topic_of(self._device, Channel.STATUS), payload, qos=1, retain=True
        )
        if wait_s is not None:
            sent.wait_for_publish(wait_s)
