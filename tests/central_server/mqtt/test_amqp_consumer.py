"""The intake over a real RabbitMQ by AMQP, its devices by MQTT."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from central_server.mqtt.broker_link import Delivery
from central_server.mqtt.ingest_service import QUEUED_BATCHES, IngestService
from central_server.mqtt.log_writer import LogWriter
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.storage.tables import DeviceRow
from central_server.storage.unit_of_work import Database
from event_protocol.messages import DeviceStatus, Link
from event_protocol.topics import Channel
from tests.central_server.factories import EdgeChain, make_context, register_device
from tests.central_server.mqtt.box import DEVICE, SECRET, Box, telemetry_at
from tests.central_server.mqtt.test_ingest_service import bodies, stumble_once
from tests.processes.ports import wait_until
from tests.processes.rabbitmq import RabbitMQ

pytestmark = pytest.mark.processes

BATCH = 20
# RabbitMQ 3.10 writes a new quorum queue's name to the disk some seconds after it made it. One that
# is killed before lets consumers in only after a minute for each queue (measured).
QUEUE_SETTLED_S = 6
WINDOW = QUEUED_BATCHES * BATCH


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    folder = tmp_path_factory.mktemp("rabbitmq") / "node"
    users = {"central-server": SECRET, DEVICE: SECRET}
    with RabbitMQ(folder, users, "central-server") as running:
        yield running


@pytest.fixture
def context(database: Database, tmp_path: Path, broker: RabbitMQ) -> ServerContext:
    register_device(database)
    settings = {
        "port": broker.port,
        "password": SECRET,
        "amqp": (f"127.0.0.1:{broker.amqp_port}",),
    }
    return make_context(database, tmp_path, broker=settings, ingest={"batch_events": BATCH})


class Worker(IngestService):
    """Counts what the broker hands it."""

    taken = 0

    def _take(self, read: Sequence[Delivery]) -> None:
        self.taken += len(read)
        super()._take(read)


@contextmanager
def taking_in(context: ServerContext) -> Iterator[Worker]:
    service = Worker(context, LogWriter(context, None))
    service.start()
    wait_until(lambda: service.is_linked, 60, "linked")
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def boxed(context: ServerContext) -> Iterator[Box]:
    box = Box(context)
    try:
        yield box
    finally:
        box.close()


def test_from_message_to_signed_receipt(context: ServerContext) -> None:
    chain = EdgeChain()
    messages = chain.many(300)
    with taking_in(context), boxed(context) as box:
        box.say(DeviceStatus(status=Link.ONLINE, epoch=1, boot=1), Channel.STATUS)
        box.send(messages)
        assert box.wait_for(lambda receipt: receipt.through == 300, 60).hash == chain.head
        assert box.commands.get(timeout=60) is not None
        box.say(telemetry_at(context.now(), boot=1), Channel.TELEMETRY)
        wait_until(lambda: _device(context).telemetry, 60, "telemetry")
    assert bodies(context) == [message.payload for message in messages]
    assert _device(context).link == "online"


def test_a_database_that_refuses_holds_the_broker_back_from_each_worker(
    context: ServerContext,
) -> None:
    chain = EdgeChain()
    messages = chain.many(2 * WINDOW + 50)
    with taking_in(context) as first, boxed(context) as box:
        with context.database.transaction():
            box.send(messages)
            wait_until(lambda: first.taken == WINDOW, 60, "the window is full")
            with taking_in(context) as second:
                wait_until(lambda: second.taken == WINDOW, 60, "the next goes to the other")
                time.sleep(0.5)
                assert (first.taken, second.taken) == (WINDOW, WINDOW)
        box.wait_for(lambda receipt: receipt.through == len(messages), 60)
    assert len(bodies(context)) == len(messages)


def test_a_fault_in_the_networks_thread_costs_the_connection_alone(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stumble_once(monkeypatch)
    chain = EdgeChain()
    with taking_in(context), boxed(context) as box:
        box.send(chain.many(5))
        assert box.wait_for(lambda receipt: receipt.through == 5, 60).hash == chain.head
    assert len(bodies(context)) == 5


def test_it_comes_back_when_the_broker_does(context: ServerContext, broker: RabbitMQ) -> None:
    chain = EdgeChain()
    with taking_in(context) as service, boxed(context) as box:
        box.send(chain.many(5))
        box.wait_for(lambda receipt: receipt.through == 5, 60)
        time.sleep(QUEUE_SETTLED_S)
        broker.kill()
        wait_until(lambda: not service.is_linked, 60, "the loss is noticed")
        broker.start()
        wait_until(lambda: service.is_linked, 60, "linked again")
        sent = chain.many(5)
        wait_until(lambda: _comes_through(context, box, sent), 60, "through", 1)


def _comes_through(context: ServerContext, box: Box, sent: Sequence[Incoming]) -> bool:
    box.send(sent)
    return len(bodies(context)) == 10


def _device(context: ServerContext) -> DeviceRow:
    with context.database.reading() as db:
        return db.get_one(DeviceRow, DEVICE)
