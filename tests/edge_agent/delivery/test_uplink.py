"""The uplink against a real Mosquitto: nothing lost, nothing skipped, only receipts count."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge_agent.core.statements import Statement
from edge_agent.delivery.health import HealthReporter
from edge_agent.delivery.outbox import Outbox
from edge_agent.delivery.uplink import Uplink, UplinkTiming
from event_protocol.enrolment import BrokerAccess, Enrolment
from event_protocol.events import CameraObserved, CameraState
from event_protocol.messages import (
    CameraTelemetry,
    Command,
    DeskConfiguration,
    DeviceConfiguration,
    Link,
    ReceiptFault,
    Resend,
    SendClip,
    encode_signed,
)
from event_protocol.names import DeskId, DeviceId
from event_protocol.topics import Channel, topic_of
from tests.processes.certificates import make_certificate
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import wait_until
from tests.processes.receipt_server import ReceiptServer

pytestmark = pytest.mark.processes

DEVICE = DeviceId("box-1")
SERVER_KEY = Ed25519PrivateKey.generate()
SEALING_KEY = PrivateKey.generate().public_key


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - real programs under test share the machine's clock


def make_configuration(name: str = "Desk 1") -> DeviceConfiguration:
    desk = DeskConfiguration(
        desk=DeskId("desk-1"), name=name, unit_name="Commune A", token_key="0a" * 32
    )
    return DeviceConfiguration(
        device=DEVICE,
        desks=(desk,),
        sealing_public_key=bytes(SEALING_KEY).hex(),
        signing_public_key=SERVER_KEY.public_key().public_bytes_raw().hex(),
        public_url="http://127.0.0.1:8000",
    )


@dataclass
class Box:
    """One device's delivery side, on its own folder."""

    folder: Path
    broker: Mosquitto
    timing: UplinkTiming = field(
        default_factory=lambda: UplinkTiming(window=50, resend_after_s=0.5, telemetry_every_s=0.3)
    )
    commands: list[Command] = field(default_factory=list)
    authority: str | None = None  # the broker speaks TLS, and this signed for it

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.folder, DEVICE, lambda *_: "A" * 86 + "==", now)
        cameras = {"room": CameraTelemetry(state=CameraState.OK, fps=25)}
        health = HealthReporter(self.folder, self.outbox, lambda: cameras, "0.1.0", now)
        access = BrokerAccess(
            host="127.0.0.1",
            port=self.broker.port,
            username=DEVICE,
            password="box",
            tls=self.authority is not None,
            authority=self.authority,
        )
        enrolment = Enrolment(device=DEVICE, broker=access, configuration=make_configuration())
        self.uplink = Uplink(enrolment, self.outbox, health, self.commands.append, now, self.timing)
        self.uplink.start()

    def observe(self, count: int) -> None:
        for _ in range(count):
            data = CameraObserved(camera="room", state=CameraState.OK, since=now())
            self.outbox.append([Statement(DeskId("desk-1"), now(), data)])

    def stop(self) -> None:
        self.uplink.stop()
        self.outbox.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", {DEVICE: "box", "server": "server"}) as running:
        yield running


@pytest.fixture
def server(broker: Mosquitto) -> Iterator[ReceiptServer]:
    with ReceiptServer(broker.port, DEVICE, SERVER_KEY, "server", "server") as running:
        yield running


@pytest.fixture
def box(tmp_path: Path, broker: Mosquitto) -> Iterator[Box]:
    folder = tmp_path / "box"
    folder.mkdir()
    running = Box(folder, broker)
    yield running
    running.stop()


def test_receipts_empty_the_outbox_in_order_and_tell_the_clock(
    box: Box, server: ReceiptServer
) -> None:
    box.observe(200)
    wait_until(lambda: box.outbox.depth == 0, what="outbox empty")
    assert len(server.check_chain()) == box.outbox.tip.sequence
    firsts = sorted(set(server.arrivals), key=server.arrivals.index)
    assert firsts == sorted(firsts)
    assert box.outbox.clock_offset_ms is not None
    assert abs(box.outbox.clock_offset_ms) < 2000


def test_without_a_receipt_everything_stays_and_is_sent_again(
    box: Box, server: ReceiptServer
) -> None:
    server.is_answering = False
    box.observe(5)
    wait_until(lambda: server.arrivals.count(1) >= 2, what="sent twice")
    assert box.outbox.depth == 5
    server.is_answering = True
    wait_until(lambda: box.outbox.depth == 0, what="outbox empty")
    assert len(server.check_chain()) == 5


def test_the_window_bounds_what_is_under_way(box: Box, server: ReceiptServer) -> None:
    server.is_answering = False
    box.observe(120)
    wait_until(lambda: 50 in server.arrivals, what="window full")
    wait_until(lambda: server.arrivals.count(50) >= 2, what="window sent twice")
    assert max(server.arrivals) == 50
    server.is_answering = True
    wait_until(lambda: box.outbox.depth == 0, what="outbox empty")


def test_a_forged_receipt_is_ignored(box: Box, server: ReceiptServer) -> None:
    server.is_answering = False
    box.observe(3)
    wait_until(lambda: server.through == 3, what="arrived")
    server.send_receipt(key=Ed25519PrivateKey.generate())
    wait_until(lambda: server.arrivals.count(3) >= 3, what="sent on and on")
    assert box.outbox.depth == 3


def test_a_gap_request_is_answered(box: Box, server: ReceiptServer) -> None:
    box.observe(20)
    wait_until(lambda: box.outbox.depth == 0, what="outbox empty")
    server.drop(7)
    server.drop(8)
    assert server.through == 6
    epoch = box.outbox.tip.epoch
    server.send_receipt(through=20, resend=Resend(epoch=epoch, first=7, last=8))
    wait_until(lambda: server.through == 20, what="gap filled")
    assert server.arrivals.count(7) == 2
    assert server.arrivals.count(9) == 1
    server.check_chain()


def test_a_server_restored_from_nothing_gets_everything_again(
    box: Box, server: ReceiptServer
) -> None:
    box.observe(30)
    wait_until(lambda: box.outbox.depth == 0, what="outbox empty")
    server.forget()
    box.observe(1)
    wait_until(lambda: (box.outbox.tip.epoch, 31) in server.events, what="the new one arrived")
    wait_until(lambda: server.through == 31, what="the old ones came again")
    server.check_chain()


def test_a_killed_broker_loses_nothing_and_skips_nothing(
    box: Box, server: ReceiptServer, broker: Mosquitto
) -> None:
    box.observe(30)
    wait_until(lambda: server.through >= 10, what="under way")
    broker.kill()
    box.observe(60)
    broker.start()
    wait_until(lambda: box.outbox.depth == 0, 30, what="outbox empty")
    assert len(server.check_chain()) == box.outbox.tip.sequence == 90


def test_status_and_telemetry(tmp_path: Path, broker: Mosquitto, server: ReceiptServer) -> None:
    folder = tmp_path / "box"
    folder.mkdir()
    box = Box(folder, broker)
    wait_until(lambda: server.telemetry, what="telemetry")
    assert server.statuses[-1].status is Link.ONLINE
    assert server.statuses[-1].boot == 1
    measured = server.telemetry[0]
    assert measured.cameras["room"].fps == 25
    assert measured.disk_free_mb > 0
    assert 10 < measured.memory_mb < 2000
    box.stop()
    wait_until(lambda: server.statuses[-1].status is Link.OFFLINE, what="goodbye")


def test_receipts_that_do_not_fit_are_told_until_they_do(box: Box, server: ReceiptServer) -> None:
    box.observe(3)
    wait_until(lambda: box.outbox.depth == 0, what="receipted")
    server.is_answering = False  # what was sent twice is not confirmed in between
    server.send_receipt(through=9)
    wait_until(lambda: box.outbox.receipt_fault is ReceiptFault.AHEAD, what="ahead")
    ahead = ReceiptFault.AHEAD
    wait_until(lambda: any(t.receipt_fault is ahead for t in server.telemetry), what="told")
    server.drop(2)
    server.send_receipt(through=2)  # with no hash of it
    wait_until(lambda: box.outbox.receipt_fault is ReceiptFault.MISMATCH, what="mismatch")
    assert box.outbox.depth == 0, "what was filed stays filed"
    server.send_receipt(through=3)
    wait_until(lambda: box.outbox.receipt_fault is None, what="fits again")


# paho leaves it to the collector to close the socket of a handshake that failed.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")
def test_a_broker_of_our_own_authority_is_trusted_and_no_other(tmp_path: Path) -> None:
    for name in ("own", "foreign", "box"):
        (tmp_path / name).mkdir()
    for name in ("own", "foreign"):
        make_certificate(tmp_path / name)
    own, foreign = ((tmp_path / name / "certificate").read_text() for name in ("own", "foreign"))
    tls = f"certfile {tmp_path}/own/certificate\nkeyfile {tmp_path}/own/key"
    with Mosquitto(tmp_path / "broker", {DEVICE: "box"}, settings=tls) as broker:
        with structlog.testing.capture_logs() as logs:
            stranger = Box(tmp_path / "box", broker, authority=foreign)
            wait_until(lambda: [e for e in logs if e["event"] == "broker_unreachable"], what="no")
            assert not stranger.uplink.is_connected
            stranger.stop()
        box = Box(tmp_path / "box", broker, authority=own)
        wait_until(lambda: box.uplink.is_connected, what="connected")
        box.stop()


@pytest.fixture
def publisher(box: Box, broker: Mosquitto) -> Iterator[Client]:
    """The server's connection, while the box's stands."""
    wait_until(lambda: box.uplink.is_connected, what="connected")
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("server", "server")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


def test_a_signed_configuration_is_passed_on_and_no_other(box: Box, publisher: Client) -> None:
    topic = topic_of(DEVICE, Channel.COMMANDS)
    forged = encode_signed(DEVICE, make_configuration("forged"), Ed25519PrivateKey.generate())
    other = encode_signed(DeviceId("box-2"), make_configuration("other"), SERVER_KEY)
    for payload in (b"\xff", forged, other):
        publisher.publish(topic, payload, qos=1)
    publisher.publish(topic, encode_signed(DEVICE, make_configuration("new"), SERVER_KEY), qos=1)
    wait_until(lambda: box.commands, what="configuration")
    assert box.commands == [make_configuration("new")]


def test_a_request_for_pictures_is_passed_on_without_a_word(box: Box, publisher: Client) -> None:
    at = now().replace(microsecond=0)
    command = SendClip(
        request_id="request-1",
        desk=DeskId("desk-1"),
        begin=at,
        end=at,
        expires=at,
        max_bytes=10**6,
        server_url="http://127.0.0.1:8000",
    )
    topic = topic_of(DEVICE, Channel.COMMANDS)
    with structlog.testing.capture_logs() as said:
        publisher.publish(topic, encode_signed(DEVICE, command, SERVER_KEY), qos=1)
        wait_until(lambda: box.commands, what="command")
    assert box.commands == [command]
    assert said == []
