"""Who says nothing any more is away, as its last will says; both brokers, really running."""

import socket
import time
from collections.abc import Iterator

import pytest

from central_server.mqtt.broker_sessions import CONNECT_WITHIN_S
from tests.central_server.mqtt.peer import Peer
from tests.central_server.mqtt.test_broker import PASSWORDS, STATUS, make_embedded
from tests.processes.mosquitto import Mosquitto

pytestmark = pytest.mark.processes

KEEP_ALIVE_S = 2


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    broker = make_embedded(tmp_path_factory.mktemp("embedded"))
    broker.start()
    yield broker.port
    broker.stop()


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto"), PASSWORDS) as broker:
        yield broker.port


@pytest.fixture(params=["embedded", "mosquitto"])
def port(request: pytest.FixtureRequest) -> int:
    running: int = request.getfixturevalue(request.param)
    return running


def test_a_box_that_lost_its_power_is_soon_away(port: int) -> None:
    with (
        Peer(port, "central-server", "server-secret") as server,
        Peer(
            port, "device-a", "secret-a", will=STATUS, last_word=b"off", keep_alive_s=KEEP_ALIVE_S
        ) as box,
    ):
        assert server.subscribe("onestop/v1/+/status")
        time.sleep(2.5 * KEEP_ALIVE_S)  # who answers in time may say nothing else
        assert not box.is_gone
        assert server.next(0) is None
        box.fall_silent()
        assert server.next(20) == (STATUS, b"off")


def test_who_promised_nothing_may_be_silent(embedded: int) -> None:
    with (
        Peer(embedded, "central-server", "server-secret") as server,
        Peer(embedded, "device-a", "secret-a", will=STATUS, keep_alive_s=0) as box,
    ):
        assert server.subscribe("onestop/v1/+/status")
        box.fall_silent()
        assert server.next(3) is None


def test_who_does_not_say_who_it_is_is_hung_up_on(embedded: int) -> None:
    with socket.create_connection(("127.0.0.1", embedded)) as nobody:
        nobody.settimeout(4 * CONNECT_WITHIN_S)
        assert nobody.recv(1) == b""
