"""The whole intake over real brokers: receipts after commits, and nothing lost when parts fail."""

import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import select

from central_server.domain.server_log import RegistryChanged
from central_server.mqtt import ingest_service
from central_server.mqtt.broker import EmbeddedBroker, free_port
from central_server.mqtt.broker_link import Delivery
from central_server.mqtt.ingest_service import IngestService
from central_server.mqtt.log_writer import LogWriter
from central_server.services import broker_accounts
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming, file_message
from central_server.storage import events as event_store
from central_server.storage import quarantine, registry, server_log
from central_server.storage.events import StoredEvent
from central_server.storage.quarantine import Misfit
from central_server.storage.streams import Stream
from central_server.storage.tables import DeskRow, DeviceRow, QuarantineRow
from central_server.storage.unit_of_work import Database
from event_protocol.messages import (
    DeviceConfiguration,
    DeviceStatus,
    Link,
)
from event_protocol.topics import Channel, topic_of
from tests.central_server.factories import START, Clock, EdgeChain, make_context, register_device
from tests.central_server.mqtt.box import DEVICE, SECRET, Box, telemetry_at
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import wait_until
from tests.processes.program import Program

pytestmark = pytest.mark.processes


@pytest.fixture(params=["embedded", "mosquitto"])
def broker_port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """A running broker that knows the server and the device."""
    accounts = {"central-server": SECRET, DEVICE: SECRET}
    if request.param == "mosquitto":
        with Mosquitto(tmp_path / "mosquitto", accounts) as mosquitto:
            yield mosquitto.port
        return
    passwords = tmp_path / "passwords"
    passwords.write_text(
        "".join(f"{n}:{broker_accounts.hash_password(p)}\n" for n, p in accounts.items())
    )
    broker = EmbeddedBroker("127.0.0.1", free_port("127.0.0.1"), passwords, "central-server")
    broker.start()
    yield broker.port
    broker.stop()


@pytest.fixture
def context(database: Database, tmp_path: Path, broker_port: int) -> ServerContext:
    register_device(database)
    broker = {"port": broker_port, "password": SECRET}
    return make_context(database, tmp_path, broker=broker)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mosquitto_context(database: Database, tmp_path: Path, clock: Clock) -> Iterator[ServerContext]:
    """For what does not depend on the broker."""
    register_device(database)
    with Mosquitto(tmp_path / "mosquitto", {"central-server": SECRET, DEVICE: SECRET}) as broker:
        settings = {"port": broker.port, "password": SECRET}
        yield make_context(database, tmp_path, clock, broker=settings)


@contextmanager
def serving(context: ServerContext) -> Iterator[tuple[IngestService, Box, list[Stream]]]:
    projected: list[Stream] = []
    service = IngestService(context, LogWriter(context, projected.extend))
    service.start()
    wait_until(lambda: service.is_linked, 10, "linked")
    box = Box(context)
    try:
        yield service, box, projected
    finally:
        box.close()
        service.stop()


def bodies(context: ServerContext) -> list[bytes]:
    with context.database.reading() as db:
        return [row.body for row in event_store.read_stream(db, DEVICE, 1)]


def device_row(context: ServerContext) -> DeviceRow:
    with context.database.reading() as db:
        return db.get_one(DeviceRow, DEVICE)


def test_from_message_to_signed_receipt_and_projection(context: ServerContext) -> None:
    chain = EdgeChain()
    messages = chain.many(300)
    with serving(context) as (_, box, projected):
        box.send(messages)
        receipt = box.wait_for(lambda receipt: receipt.through == 300)
        assert receipt.hash == chain.head
        wait_until(lambda: (DEVICE, 1) in projected, 5, "projected")
    assert bodies(context) == [message.payload for message in messages]


def test_bad_messages_are_rejected_and_the_line_goes_on(mosquitto_context: ServerContext) -> None:
    chain = EdgeChain()
    with serving(mosquitto_context) as (_, box, _):
        box.send([Incoming(topic_of(DEVICE, Channel.EVENTS), b"not JSON"), *chain.many(3)])
        assert box.wait_for(lambda receipt: receipt.rejected).rejected[0].reason.startswith("not J")
        box.send(chain.many(1))
        assert box.wait_for(lambda receipt: receipt.through == 4).hash == chain.head


def test_a_locked_database_holds_everything_and_recovers(
    mosquitto_context: ServerContext, clock: Clock
) -> None:
    event.listen(
        mosquitto_context.database.engine,
        "checkout",
        lambda c, *_: c.execute("PRAGMA busy_timeout=50"),
    )
    chain = EdgeChain()
    with serving(mosquitto_context) as (service, box, _):
        box.send(chain.many(5))
        box.wait_for(lambda receipt: receipt.through == 5)
        path = mosquitto_context.database.engine.url.database
        assert path is not None
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        box.send(chain.many(20))
        wait_until(lambda: service.failure, 10, "failure shown")
        assert "locked" in str(service.failure)
        assert not service.is_linked
        assert box.receipts.empty()
        clock.advance(3600)
        other.execute("ROLLBACK")
        other.close()
        assert box.wait_for(lambda receipt: receipt.through == 25).hash == chain.head
        assert service.is_linked
    assert len(bodies(mosquitto_context)) == 25
    with mosquitto_context.database.reading() as db:
        stored = list(event_store.read_stream(db, DEVICE, 1))
    assert {row.received_at for row in stored} == {START}  # when it came, not when it could


def test_a_full_disk_refuses_visibly_and_recovers(mosquitto_context: ServerContext) -> None:
    limit = {"pages": 1_000_000}
    event.listen(
        mosquitto_context.database.engine,
        "checkout",
        lambda c, *_: c.execute(f"PRAGMA max_page_count={limit['pages']}"),
    )
    chain = EdgeChain()
    with serving(mosquitto_context) as (service, box, _):
        box.send(chain.many(5))
        box.wait_for(lambda receipt: receipt.through == 5)
        limit["pages"] = 1  # SQLite takes the present size as the limit
        sent = 5
        while service.failure is None:
            box.send(chain.many(50))
            sent += 50
            wait_until(lambda: service.failure or not box.receipts.empty(), 10, "any answer")
            while not box.receipts.empty():
                box.receipts.get()
        assert "full" in str(service.failure)
        accepted = len(bodies(mosquitto_context))
        assert 5 <= accepted < sent
        limit["pages"] = 1_000_000
        assert box.wait_for(lambda receipt: receipt.through == sent).hash == chain.head
    assert len(bodies(mosquitto_context)) == sent


def test_what_one_device_can_make_unstorable_does_not_stop_the_others(
    mosquitto_context: ServerContext,
) -> None:
    """A trigger stands for whatever a database may one day refuse to take."""
    with mosquitto_context.database.transaction() as db:
        db.connection().exec_driver_sql(
            "CREATE TRIGGER picky BEFORE INSERT ON event WHEN NEW.sequence = 3 "
            "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )
    chain = EdgeChain()
    with serving(mosquitto_context) as (_, box, _):
        box.send(chain.many(5))
        receipt = box.wait_for(lambda receipt: receipt.rejected)
        assert receipt.rejected[0].reason == "can't be stored: IntegrityError"
        assert receipt.through == 2
    with mosquitto_context.database.reading() as db:
        assert quarantine.count(db) == 1


def test_a_message_that_our_own_code_fails_on_is_set_aside(
    mosquitto_context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fault is left in the reading: it must not end the network's thread."""

    def file_faultily(message: Incoming, received_at: datetime) -> StoredEvent | Misfit:
        if message.payload == b"bad luck":
            raise ZeroDivisionError
        return file_message(message, received_at)

    monkeypatch.setattr(ingest_service, "file_message", file_faultily)
    chain = EdgeChain()
    with serving(mosquitto_context) as (_, box, _):
        box.send([Incoming(topic_of(DEVICE, Channel.EVENTS), b"bad luck"), *chain.many(3)])
        rejected = box.wait_for(lambda receipt: receipt.rejected).rejected
        assert [one.reason for one in rejected] == ["can't be read: ZeroDivisionError"]
        box.send(chain.many(1))
        assert box.wait_for(lambda receipt: receipt.through == 4).hash == chain.head
    with mosquitto_context.database.reading() as db:
        (kept,) = db.connection().execute(select(QuarantineRow.device, QuarantineRow.payload))
    assert kept == (DEVICE, b"bad luck")


def stumble_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first time that anything is read, our own code fails in the network's thread."""
    take, stumbles = IngestService._take, [True]

    def stumble(service: IngestService, read: Sequence[Delivery]) -> None:
        if stumbles:
            stumbles.pop()
            raise ZeroDivisionError
        take(service, read)

    monkeypatch.setattr(IngestService, "_take", stumble)


def test_a_fault_in_the_networks_thread_costs_the_connection_alone(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stumble_once(monkeypatch)
    chain = EdgeChain()
    with serving(context) as (_, box, _):
        messages = chain.many(5)

        def comes_through() -> bool:
            box.send(messages)  # as a device does whose receipt stays out
            return len(bodies(context)) == 5

        wait_until(comes_through, 15, "through", 1)


def test_status_and_telemetry(context: ServerContext) -> None:
    with serving(context) as (_, box, _):
        box.say(DeviceStatus(status=Link.ONLINE, epoch=1, boot=2), Channel.STATUS)
        configuration = box.commands.get(timeout=10)
        assert isinstance(configuration, DeviceConfiguration)
        assert [desk.desk for desk in configuration.desks] == ["desk-1"]
        assert box.wait_for(lambda receipt: receipt.epoch == 1).through == 0
        old_will = DeviceStatus(status=Link.OFFLINE, epoch=1, boot=1)
        box.say(old_will, Channel.STATUS)
        box.say(telemetry_at(context.now(), boot=2), Channel.TELEMETRY)
        wait_until(lambda: device_row(context).telemetry, 10, "telemetry")
        row = device_row(context)
        assert (row.link, row.link_epoch, row.link_boot) == ("online", 1, 2)
        assert row.telemetry["outbox_depth"] == 7
        assert row.last_heard_at == row.telemetry_at == context.now().astimezone(UTC)
        box.say(DeviceStatus(status=Link.OFFLINE, epoch=1, boot=2), Channel.STATUS)
        wait_until(lambda: device_row(context).link == "offline", 10, "offline")


def test_a_changed_registry_reaches_a_device_that_is_online(
    mosquitto_context: ServerContext,
) -> None:
    with serving(mosquitto_context) as (_, box, _):
        box.say(DeviceStatus(status=Link.ONLINE, epoch=1, boot=1), Channel.STATUS)
        assert len(box.commands.get(timeout=10).desks) == 1
        second = DeskRow(
            desk_id="desk-2", unit_id="unit-a", name="2", device_id=DEVICE, token_key="cd" * 32
        )
        with mosquitto_context.database.transaction() as db:
            registry.save(db, [second])
            changed = RegistryChanged(by="command", what="units", subject="units.yaml")
            server_log.append(db, changed, at=mosquitto_context.now())
        assert len(box.commands.get(timeout=15).desks) == 2


KILLED_BEFORE_ACKNOWLEDGING = """
import os, signal, sys, time
from datetime import UTC, datetime
from pathlib import Path
from central_server.mqtt.ingest_service import IngestService
from central_server.mqtt.subscriber import Subscriber
from central_server.mqtt.writer_link import WriterProcess
from central_server.services.context import ServerContext
from central_server.services.keys import load_keys
from central_server.settings import ServerSettings
from central_server.storage.unit_of_work import Database

Subscriber.acknowledge = lambda self, deliveries: os.kill(os.getpid(), signal.SIGKILL)
url, folder, port, password = sys.argv[1:]
broker = {"port": port, "password": password}
settings = ServerSettings(directory=folder, database_url=url, broker=broker)
context = ServerContext(
    settings, Database(url), load_keys(Path(folder)), lambda: datetime.now(UTC)
)
IngestService(context, WriterProcess(settings, projects=False)).start()
print("started", flush=True)
time.sleep(60)
"""


def test_a_kill_between_commit_and_acknowledgement_loses_and_doubles_nothing(
    context: ServerContext, tmp_path: Path
) -> None:
    chain = EdgeChain()
    messages = chain.many(10)
    arguments = [
        *(sys.executable, "-c", KILLED_BEFORE_ACKNOWLEDGING),
        context.database.engine.url.render_as_string(),
        *(str(tmp_path), str(context.settings.broker.port), SECRET),
    ]
    box = Box(context)
    with Program(arguments, tmp_path / "killed.log", os.environ) as doomed:
        doomed.wait_for_output("started")
        while doomed.is_running:  # what comes before it has subscribed, the broker drops
            box.send(messages)
            time.sleep(0.5)
        assert doomed.wait() == -9
    box.close()
    assert len(bodies(context)) > 0
    with serving(context) as (_, box, _):
        box.send(messages)  # as an outbox without a receipt does
        assert box.wait_for(lambda receipt: receipt.through == 10).hash == chain.head
    assert bodies(context) == [message.payload for message in messages]
    with context.database.reading() as db:
        assert list(server_log.read_after(db, 0)) == []
        assert quarantine.count(db) == 0
