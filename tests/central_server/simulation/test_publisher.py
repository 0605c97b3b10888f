"""The fleet's publisher over a real Mosquitto: receipts end the work, losses are made good."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from central_server.simulation.fleet import DeviceChain, FleetEvent, SimulatedDevice
from central_server.simulation.habits import HONEST
from central_server.simulation.publisher import FleetError, FleetMember, publish_fleet
from central_server.simulation.visits import Span
from event_protocol.codec import Accepted, decode_event
from event_protocol.enrolment import BrokerAccess, Enrolment
from event_protocol.messages import DeviceConfiguration, Receipt, encode_signed
from event_protocol.names import DeskId, DeviceId
from event_protocol.topics import Channel, topic_of
from tests.processes.mosquitto import Mosquitto

BOX = DeviceId("box-1")
FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = FIRST_DAY + timedelta(days=30)
SERVER_KEY = Ed25519PrivateKey.generate()
SEALING = PrivateKey.generate()
EVENTS = 1200

pytestmark = pytest.mark.processes


def make_events(seed: int, count: int = EVENTS) -> tuple[int, Iterator[FleetEvent]]:
    chain = DeviceChain(
        SimulatedDevice(BOX, ((DeskId("desk-1"), HONEST),)),
        seed,
        FIRST_DAY,
        bytes(SEALING.public_key),
    )
    opening = (Span(FIRST_DAY, FIRST_DAY + timedelta(hours=9)),)
    days = (FIRST_DAY.date() for _ in range(30))
    events = (event for day in days for event in chain.make_day(day, lambda *_: opening))
    return chain.epoch, islice(events, count)


class ReceiptingServer:
    """The far side of the contract in memory: of two events with one number the first counts.

    Loses each message whose number `loses` names, once.
    """

    def __init__(self, port: int, loses: Callable[[int], bool] = lambda _: False) -> None:
        self.held: dict[int, str] = {}
        self.through = 0
        self._lost: set[int] = set()
        self._loses = loses
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id="server", protocol=MQTTProtocolVersion.MQTTv311
        )
        self._client.username_pw_set("server", "server")
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(topic_of(BOX, Channel.EVENTS), 1)
        self._client.loop_start()

    def _on_message(self, client: Client, _userdata: object, message: MQTTMessage) -> None:
        decoded = decode_event(BOX, bytes(message.payload))
        assert isinstance(decoded, Accepted)
        position = decoded.position
        if self._loses(position.sequence) and position.sequence not in self._lost:
            self._lost.add(position.sequence)
            return
        self.held.setdefault(position.sequence, decoded.hash)
        while self.through + 1 in self.held:
            self.through += 1
        receipt = Receipt(
            epoch=position.epoch,
            through=self.through,
            hash=self.held.get(self.through),
            server_time=NOW,
        )
        client.publish(topic_of(BOX, Channel.RECEIPTS), encode_signed(BOX, receipt, SERVER_KEY), 1)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", {"server": "server", BOX: BOX}) as running:
        yield running


@pytest.fixture
def start_server(broker: Mosquitto) -> Iterator[Callable[..., ReceiptingServer]]:
    started: list[ReceiptingServer] = []

    def start(**options: Callable[[int], bool]) -> ReceiptingServer:
        started.append(ReceiptingServer(broker.port, **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def publish(broker: Mosquitto, epoch: int, events: Iterator[FleetEvent]) -> None:
    access = BrokerAccess(host="127.0.0.1", port=broker.port, username=BOX, password=BOX, tls=False)
    configuration = DeviceConfiguration(
        device=BOX,
        desks=(),
        sealing_public_key=bytes(SEALING.public_key).hex(),
        signing_public_key=SERVER_KEY.public_key().public_bytes_raw().hex(),
        public_url="http://127.0.0.1",
    )
    enrolment = Enrolment(device=BOX, broker=access, configuration=configuration)
    publish_fleet(
        [FleetMember(enrolment, epoch, events)],
        lambda: NOW,
        threading.Event(),
        lambda _: None,
        resend_after_s=0.5,
    )


def test_what_the_way_loses_is_said_again(
    broker: Mosquitto, start_server: Callable[..., ReceiptingServer]
) -> None:
    server = start_server(loses=lambda sequence: sequence % 400 == 0)
    publish(broker, *make_events(1))
    assert server.held == {event.sequence: event.hash for event in make_events(1)[1]}


def test_a_fleet_that_ran_before_goes_on(
    broker: Mosquitto, start_server: Callable[..., ReceiptingServer]
) -> None:
    server = start_server()
    publish(broker, *make_events(1, 300))
    publish(broker, *make_events(1, 800))
    assert server.through == 800


def test_another_seed_on_the_same_devices_is_refused(
    broker: Mosquitto, start_server: Callable[..., ReceiptingServer]
) -> None:
    start_server()
    publish(broker, *make_events(1, 100))
    with pytest.raises(FleetError, match="other events"):
        publish(broker, *make_events(2, 100))


def test_a_refusal_by_the_broker_is_told(broker: Mosquitto) -> None:
    broker.kill()
    (broker.log.parent / "passwords").write_text("")
    broker.start()
    with pytest.raises(FleetError, match="refused"):
        publish(broker, *make_events(1, 10))
