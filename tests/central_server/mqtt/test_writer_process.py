"""The log writer beside the intake: same outcomes as in it, alone killed, and never left behind."""

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_FSIZE, prlimit
from typing import Any

import psutil
import pytest

from central_server.clock import read_clock
from central_server.mqtt import writer_link
from central_server.mqtt.log_writer import LogWriter
from central_server.mqtt.writer_link import WriterProcess
from central_server.mqtt.writer_messages import (
    Batch,
    Failed,
    News,
    Outcome,
    Projected,
    Ready,
    Refusing,
    SetAside,
    Stored,
    Writer,
    pack,
    unpack,
)
from central_server.services.context import ServerContext
from central_server.services.device_links import LinkNews
from central_server.services.filing import Filed, Incoming, file_message
from central_server.storage import events as event_store
from central_server.storage import projection
from central_server.storage.events import StoredEvent
from central_server.storage.unit_of_work import Database
from event_protocol.messages import (
    RECEIPT,
    DeviceStatus,
    Link,
    Receipt,
    decode_signed,
    encode_message,
)
from event_protocol.names import DeviceId
from event_protocol.topics import Channel, topic_of
from tests.central_server.factories import EdgeChain, make_context, register_device
from tests.processes.ports import wait_until
from tests.processes.program import Program

pytestmark = pytest.mark.processes

DEVICE = DeviceId("device-a")
PATIENCE_S = 30


class Heard:
    """A `Listener` that keeps what it is told."""

    def __init__(self) -> None:
        self.outcomes: queue.Queue[tuple[Batch, Outcome]] = queue.Queue()
        self.news: list[News] = []

    def on_outcome(self, batch: Batch, outcome: Outcome) -> None:
        self.outcomes.put((batch, outcome))

    def on_news(self, news: News) -> None:
        self.news.append(news)

    def next(self) -> tuple[Batch, Outcome]:
        return self.outcomes.get(timeout=PATIENCE_S)


@pytest.fixture
def context(database: Database, tmp_path: Path) -> ServerContext:
    register_device(database)
    return make_context(database, tmp_path)


def beside(context: ServerContext, *, projects: bool = False) -> WriterProcess:
    url = context.database.engine.url.render_as_string(hide_password=False)
    settings = context.settings.model_copy(update={"database_url": url})
    return WriterProcess(settings, projects=projects)


def within(context: ServerContext) -> LogWriter:
    return LogWriter(context, None)


@contextmanager
def heard_of(writer: Writer) -> Iterator[Heard]:
    heard = Heard()
    writer.start(heard)
    try:
        wait_until(lambda: Ready() in heard.news, PATIENCE_S, "ready")
        yield heard
    finally:
        writer.stop()


def batch_of(*messages: Incoming, news: tuple[LinkNews, ...] = ()) -> Batch:
    return Batch([Filed(one, file_message(one, read_clock())) for one in messages], list(news))


def bodies(context: ServerContext) -> list[bytes]:
    with context.database.reading() as db:
        return [row.body for row in event_store.read_stream(db, DEVICE, 1)]


def birth() -> LinkNews:
    status = DeviceStatus(status=Link.ONLINE, epoch=1, boot=1)
    return LinkNews(Incoming(topic_of(DEVICE, Channel.STATUS), encode_message(status)), False)


def rubbish() -> Incoming:
    return Incoming(topic_of(DEVICE, Channel.EVENTS), b"not JSON")


def signed(context: ServerContext, stored: Stored) -> list[Receipt]:
    """What the device makes of them."""
    found = []
    for device, channel, payload in stored.receipts:
        assert channel is Channel.RECEIPTS
        receipt = decode_signed(device, RECEIPT, payload, context.keys.signing_public)
        assert receipt is not None, "not signed by the server"
        found.append(receipt)
    return found


def test_a_batch_is_the_same_on_the_far_side() -> None:
    batch = batch_of(*EdgeChain().many(3), rubbish(), news=(birth(),))
    there = unpack(pack(batch))
    assert (list(there.events), list(there.news)) == (list(batch.events), list(batch.news))


@pytest.mark.parametrize("make", [beside, within])
def test_outcomes_are_the_same_from_a_process_and_from_a_thread(
    context: ServerContext, make: Callable[[ServerContext], Writer]
) -> None:
    chain = EdgeChain()
    messages = chain.many(20)
    writer = make(context)
    with heard_of(writer) as heard:
        first, second = batch_of(*messages, rubbish(), news=(birth(),)), batch_of(*chain.many(1))
        writer.submit(first)
        writer.submit(second)
        about, outcome = heard.next()
        assert about is first
        assert isinstance(outcome, Stored)
        [receipt] = signed(context, outcome)
        assert receipt.through == 20
        assert receipt.rejected[0].reason.startswith("not JSON")
        assert outcome.online == [(DEVICE, 1)]
        about, outcome = heard.next()
        assert about is second
        assert isinstance(outcome, Stored)
        assert signed(context, outcome)[0].hash == chain.head
    assert bodies(context)[:20] == [message.payload for message in messages]


@pytest.mark.parametrize("make", [beside, within])
def test_what_can_not_be_stored_costs_itself_alone(
    context: ServerContext, make: Callable[[ServerContext], Writer]
) -> None:
    with context.database.transaction() as db:
        db.connection().exec_driver_sql(
            "CREATE TRIGGER picky BEFORE INSERT ON event WHEN NEW.sequence = 3 "
            "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )
    chain, writer = EdgeChain(), make(context)
    with heard_of(writer) as heard:
        good = batch_of(*chain.many(5))
        ((message, entry), *_) = good.events
        assert isinstance(entry, StoredEvent)
        # Stands for whatever fault is left in our own code.
        faulty = StoredEvent._make([["no name"], *entry[1:]])
        writer.submit(Batch([Filed(message, faulty)], []))
        writer.submit(good)
        assert heard.next()[1] == Failed()
        _, outcome = heard.next()
        assert isinstance(outcome, Stored)
        rejected = [one.reason for receipt in signed(context, outcome) for one in receipt.rejected]
        assert rejected == ["can't be stored: IntegrityError"]
        assert SetAside() in heard.news
    assert len(bodies(context)) == 4


def test_it_projects(context: ServerContext) -> None:
    writer = beside(context, projects=True)
    with heard_of(writer) as heard:
        writer.submit(batch_of(*EdgeChain().many(5)))
        heard.next()
        wait_until(lambda: any(isinstance(one, Projected) for one in heard.news), PATIENCE_S)
        with context.database.reading() as db:
            assert projection.list_behind(db) == []
    assert not any(isinstance(one, Projected) and one.is_failure for one in heard.news)


def test_a_batch_that_can_not_be_handed_on_leaves_no_trace(context: ServerContext) -> None:
    chain, writer = EdgeChain(), beside(context)
    with heard_of(writer) as heard:
        no_news: Any = threading.Lock()  # whatever pickle refuses
        with pytest.raises(TypeError):
            writer.submit(batch_of(*chain.many(1), news=(no_news,)))
        good = batch_of(*chain.many(1))
        writer.submit(good)
        about, outcome = heard.next()
        assert about is good
        assert isinstance(outcome, Stored)


def test_killed_alone_it_begins_again_with_what_had_no_outcome(context: ServerContext) -> None:
    chain = EdgeChain()
    messages, writer = chain.many(40), beside(context)
    with heard_of(writer) as heard:
        batches = [batch_of(*messages[:20]), batch_of(*messages[20:])]
        with context.database.transaction():  # so that they wait
            for batch in batches:
                writer.submit(batch)
            former = writer.pid
            os.kill(former, signal.SIGKILL)
            wait_until(lambda: heard.news.count(Ready()) == 2, PATIENCE_S, "another one")
            assert heard.outcomes.empty()
        assert [heard.next()[0] for _ in batches] == batches
        assert writer.pid != former
        assert Refusing("the log writer ended") in heard.news
    assert heard.outcomes.empty()
    assert bodies(context) == [message.payload for message in messages]


def test_one_that_can_not_begin_is_tried_again(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = beside(context)
    program = writer_link.PROGRAM
    with heard_of(writer) as heard:
        writer.submit(batch_of(*EdgeChain().many(5)))
        heard.next()
        monkeypatch.setattr(writer_link, "PROGRAM", ("/nowhere/to/be/found",))
        os.kill(writer.pid, signal.SIGKILL)
        ended = Refusing("the log writer ended")
        wait_until(lambda: heard.news.count(ended) >= 2, PATIENCE_S, "tried again")
        monkeypatch.setattr(writer_link, "PROGRAM", program)
        wait_until(lambda: heard.news.count(Ready()) == 2, PATIENCE_S, "another one")


def test_a_full_disk_is_told_of_and_waited_for(context: ServerContext) -> None:
    chain, writer = EdgeChain(), beside(context)
    with heard_of(writer) as heard:
        prlimit(writer.pid, RLIMIT_FSIZE, (1, RLIM_INFINITY))
        writer.submit(batch_of(*chain.many(5)))
        wait_until(lambda: any(isinstance(one, Refusing) for one in heard.news), PATIENCE_S)
        assert heard.outcomes.empty()
        prlimit(writer.pid, RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))
        assert isinstance(heard.next()[1], Stored)
    assert len(bodies(context)) == 5


def test_it_ends_also_while_the_database_refuses(context: ServerContext) -> None:
    writer = beside(context)
    with heard_of(writer) as heard:
        prlimit(writer.pid, RLIMIT_FSIZE, (1, RLIM_INFINITY))
        writer.submit(batch_of(*EdgeChain().many(5)))
        wait_until(lambda: any(isinstance(one, Refusing) for one in heard.news), PATIENCE_S)
    assert heard.outcomes.empty()
    assert not psutil.pid_exists(writer.pid)
    assert bodies(context) == []


KILLED_SERVER = """
import sys, time
from central_server.mqtt.writer_link import WriterProcess
from central_server.settings import ServerSettings

class Deaf:
    def on_outcome(self, batch, outcome): pass
    def on_news(self, news): print("child", writer.pid, flush=True)

url, folder = sys.argv[1:]
writer = WriterProcess(ServerSettings(directory=folder, database_url=url), projects=True)
writer.start(Deaf())
time.sleep(60)
"""


def test_it_never_outlives_its_server(context: ServerContext, tmp_path: Path) -> None:
    url = context.database.engine.url.render_as_string()
    arguments = [sys.executable, "-c", KILLED_SERVER, url, str(tmp_path)]
    with Program(arguments, tmp_path / "killed.log", os.environ) as server:
        server.wait_for_output("child")
        pid = int(server.output.split()[-1])
        assert psutil.pid_exists(pid)
        with context.database.transaction():
            server.kill()
            wait_until(lambda: not _runs(pid), PATIENCE_S, "gone with it")


def _runs(pid: int) -> bool:
    """Nobody waits for an orphan here, so that it may stay as a name."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_signals_are_the_servers_business(context: ServerContext) -> None:
    """A terminal and a service manager send them to all processes at once."""
    writer = beside(context)
    with heard_of(writer) as heard:
        former = writer.pid
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(former, number)
        writer.submit(batch_of(*EdgeChain().many(5)))
        assert isinstance(heard.next()[1], Stored)
        assert writer.pid == former
