"""One log in parts by month: what was known in one month is known in the next."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import uuid6
from sqlalchemy import text
from sqlalchemy.exc import DataError, OperationalError

from central_server.services import ingest, tick
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.storage import events, months, quarantine
from central_server.storage.events import StoredEvent
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import START, Clock, EdgeChain, make_context, register_device


@pytest.fixture
def context(any_database: Database, tmp_path: Path) -> ServerContext:
    return server_on(any_database, tmp_path)


@pytest.fixture
def parted(postgresql_database: Database, tmp_path: Path) -> ServerContext:
    return server_on(postgresql_database, tmp_path)


def server_on(database: Database, folder: Path) -> ServerContext:
    register_device(database)
    context = make_context(database, folder, Clock(START))
    tick.tick(context, START)
    return context


def move(context: ServerContext, at: datetime) -> None:
    assert isinstance(context.now, Clock)
    context.now.at = at
    tick.tick(context, at)


def rows(context: ServerContext) -> list[StoredEvent]:
    with context.database.reading() as db:
        return list(events.read_stream(db, "device-a", 1))


def quarantined(context: ServerContext) -> list[str]:
    with context.database.reading() as db:
        return [row.kind for row in quarantine.list_latest(db)]


def parts(context: ServerContext) -> dict[str, int]:
    """How many events lie in each part that holds any."""
    statement = "SELECT tableoid::regclass::text AS part, count(*) AS events FROM event GROUP BY 1"
    with context.database.reading() as db:
        return {row.part: row.events for row in db.connection().execute(text(statement))}


def altered(message: Incoming) -> Incoming:
    return Incoming(message.topic, message.payload.replace(b"occupied", b"empty"))


def test_a_position_is_known_in_every_later_month(context: ServerContext) -> None:
    chain = EdgeChain()
    first = chain.many(3)
    ingest.append(context, first)
    before = rows(context)
    move(context, START + timedelta(days=70))
    [(_, receipt)] = ingest.append(context, [*first, *chain.many(2), altered(first[1])])
    assert (receipt.through, receipt.hash) == (5, chain.head)
    assert rows(context)[:3] == before
    assert quarantined(context) == ["other_bytes"]


@pytest.mark.parametrize("event_id", [uuid4(), UUID(bytes=uuid6.uuid7().bytes)])
def test_an_id_is_known_in_every_later_month(context: ServerContext, event_id: UUID) -> None:
    chain = EdgeChain()
    ingest.append(context, [chain.presence(event_id=event_id), *chain.many(2)])
    move(context, START + timedelta(days=70))
    other = EdgeChain(epoch=2)
    [(_, receipt)] = ingest.append(context, [*other.many(1), other.presence(event_id=event_id)])
    assert receipt.through == 2
    assert quarantined(context) == ["known_id_elsewhere"]
    with context.database.reading() as db:
        [_, nameless] = events.read_stream(db, "device-a", 2)
    assert (nameless.event_id, nameless.reason) == (None, "its id is known at another position")


def test_ids_that_tell_their_time_are_compared_with_the_newest(context: ServerContext) -> None:
    ids = [UUID(bytes=uuid6.uuid7().bytes) for _ in range(4)]
    chain = EdgeChain()
    for at, number in enumerate((0, 3, 2, 1)):  # below the newest, and new all the same
        move(context, START + timedelta(days=40 * at))
        ingest.append(context, [chain.presence(event_id=ids[number])])
    assert [row.event_id for row in rows(context)] == [str(ids[n]) for n in (0, 3, 2, 1)]
    for one in ids:
        ingest.append(context, [chain.presence(event_id=one)])
    assert [row.event_id for row in rows(context)[4:]] == [None] * 4


@pytest.mark.processes
def test_each_month_has_its_part_before_it_begins(parted: ServerContext) -> None:
    chain = EdgeChain()
    for month in (3, 4, 5):
        assert isinstance(parted.now, Clock)
        parted.now.at = datetime(2026, month, 1, tzinfo=UTC)
        ingest.append(parted, chain.many(2))
    assert parts(parted) == {"event_2026_03": 2, "event_2026_04": 2, "event_2026_05": 2}
    move(parted, START + timedelta(days=300))
    move(parted, START + timedelta(days=300))
    with parted.database.reading() as db:
        there = months.list_months(db.connection())
    assert [f"{month:%m}" for month in there] == ["03", "04", "05", "12", "01", "02"]


@pytest.mark.processes
def test_a_server_with_a_wrong_clock_refuses_nothing(parted: ServerContext) -> None:
    chain = EdgeChain()
    assert isinstance(parted.now, Clock)
    parted.now.at = datetime(2090, 7, 1, tzinfo=UTC)
    ingest.append(parted, chain.many(2))
    parted.now.at = datetime(1970, 1, 1, tzinfo=UTC)
    ingest.append(parted, chain.many(1))
    assert [row.sequence for row in rows(parted)] == [1, 2, 3]
    assert parts(parted) == {"event_rest": 3}
    move(parted, datetime(2090, 6, 1, tzinfo=UTC))
    assert parts(parted) == {"event_2090_07": 2, "event_rest": 1}
    assert [row.sequence for row in rows(parted)] == [1, 2, 3]


@pytest.mark.processes
def test_what_only_a_second_worker_can_have_added_is_left_out(parted: ServerContext) -> None:
    """Two epochs of one device in two transactions: neither sees the other's id in time."""
    ingest.append(parted, [EdgeChain().presence()])
    [row] = rows(parted)
    again = [row._replace(epoch=2), row._replace(epoch=2, sequence=2, event_id=str(uuid4()))]
    newest = {"device-a": "00000000-0000-7000-8000-000000000000"}
    told = [
        one._replace(event_id=f"01900000-0000-7{n:03}-8000-000000000000")
        for n, one in enumerate(again)
    ]
    with parted.database.transaction() as db:
        assert events.insert_new(db, told, newest) == 2
        more = [told[0]._replace(sequence=3), told[0]._replace(sequence=4, event_id=None)]
        assert events.insert_new(db, more, newest) == 1


@pytest.mark.processes
def test_what_the_copying_meets_is_told_as_by_the_engine(parted: ServerContext) -> None:
    """Intake halves a batch at one kind, and tries the whole of it again at the other."""
    ingest.append(parted, [EdgeChain().presence()])
    [row] = rows(parted)
    new = row._replace(epoch=2, event_id=None)
    with pytest.raises(DataError):
        add(parted, new._replace(clock="x" * 17))
    with pytest.raises(OperationalError):
        add(parted, new, cut_off=True)
    with parted.database.transaction() as db:
        assert events.insert_new(db, [new], {}) == 1


def add(parted: ServerContext, row: StoredEvent, *, cut_off: bool = False) -> None:
    with parted.database.transaction() as db, parted.database.reading() as other:
        mine = db.connection().execute(text("SELECT pg_backend_pid()")).scalar_one()
        if cut_off:
            end = text("SELECT pg_terminate_backend(:mine)")
            other.connection().execute(end, {"mine": mine})
        events.insert_new(db, [row], {})
