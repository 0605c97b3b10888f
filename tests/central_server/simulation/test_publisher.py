"""The fleet's publisher over a real Mosquitto: receipts end the work, losses are made good."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey

from central_server.simulation.fleet import DeviceChain, FleetEvent, SimulatedDevice
from central_server.simulation.habits import HONEST
from central_server.simulation.publisher import FleetError, FleetMember, publish_fleet
from central_server.simulation.visits import Span
from event_protocol.enrolment import BrokerAccess, Enrolment
from event_protocol.messages import DeviceConfiguration
from event_protocol.names import DeskId, DeviceId
from tests.processes.mosquitto import Mosquitto
from tests.processes.receipt_server import ReceiptServer

BOX = DeviceId("box-1")
FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = FIRST_DAY + timedelta(days=30)
SERVER_KEY = Ed25519PrivateKey.generate()
SEALING = PrivateKey.generate()
EVENTS = 500

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


class LossyServer(ReceiptServer):
    """Loses each message whose number `loses` names, once."""

    def __init__(self, port: int, loses: Callable[[int], bool] = lambda _: False) -> None:
        super().__init__(port, BOX, SERVER_KEY, "server", "server")
        self._loses = loses
        self._lost: set[int] = set()

    def _take_event(self, payload: bytes) -> None:
        sequence = json.loads(payload)["sequence"]
        if self._loses(sequence) and sequence not in self._lost:
            self._lost.add(sequence)
        else:
            super()._take_event(payload)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", {"server": "server", BOX: BOX}) as running:
        yield running


def publish(
    broker: Mosquitto, epoch: int, events: Iterator[FleetEvent], connect_within_s: float = 30
) -> None:
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
        resend_after_s=2,  # longer than a loaded machine takes for all that is under way
        connect_within_s=connect_within_s,
    )


def test_what_the_way_loses_is_said_again(broker: Mosquitto) -> None:
    with LossyServer(broker.port, loses=lambda sequence: sequence % 200 == 0) as server:
        publish(broker, *make_events(1))
    assert [one.hash for one in server.check_chain()] == [one.hash for one in make_events(1)[1]]


def test_a_fleet_that_ran_before_goes_on(broker: Mosquitto) -> None:
    with LossyServer(broker.port) as server:
        publish(broker, *make_events(1, 100))
        publish(broker, *make_events(1, 200))
    assert server.through == 200
    server.check_chain()


@pytest.mark.parametrize("count", [90, 100, 110])
def test_another_seed_on_the_same_devices_is_refused(broker: Mosquitto, count: int) -> None:
    with LossyServer(broker.port):
        publish(broker, *make_events(1, 100))
        with pytest.raises(FleetError, match="other events"):
            publish(broker, *make_events(2, count))


def test_a_broker_that_is_not_there_is_told(broker: Mosquitto) -> None:
    broker.kill()
    with pytest.raises(FleetError, match=rf"no broker at 127\.0\.0\.1:{broker.port}"):
        publish(broker, *make_events(1, 10), connect_within_s=2)


def test_a_refusal_by_the_broker_is_told(broker: Mosquitto) -> None:
    broker.kill()
    (broker.log.parent / "passwords").write_text("")
    broker.start()
    with pytest.raises(FleetError, match="refused"):
        publish(broker, *make_events(1, 10), connect_within_s=2)
