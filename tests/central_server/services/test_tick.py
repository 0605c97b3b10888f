"""What time alone shows: once each, only in opening hours, and never our own absence."""

from datetime import datetime
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from sqlmodel import select

from central_server.services import ingest, rebuild, rule_sets
from central_server.services.context import ServerContext
from central_server.services.filing import Filed, Incoming, file_message
from central_server.services.tick import tick
from central_server.storage import server_log
from central_server.storage.tables import FlagRow, SessionRow, StreamRow
from central_server.storage.unit_of_work import Database
from event_protocol.events import EpochHead
from tests.central_server.factories import Clock, register_device
from tests.central_server.services.desk_days import (
    EMPTY,
    OCCUPIED,
    DeskChain,
    deliver,
    derived,
    make_server,
    minute,
)


class Server:
    """A server whose clock the test moves; it has listened since long before, unless it says so."""

    def __init__(self, context: ServerContext, clock: Clock) -> None:
        self.context, self.clock = context, clock

    def ticks(self, at: float, listening_since: float = -10_000) -> list[str]:
        """Two ticks at that minute; the types of the entries that they wrote."""
        self.clock.at = minute(at)
        before = self.entries()
        for _ in range(2):
            tick(self.context, minute(listening_since))
        return self.entries()[len(before) :]

    def entries(self) -> list[str]:
        with self.context.database.reading() as db:
            return [logged.entry.type for logged in server_log.read_after(db, 0)]

    def hears(self, at: float, chain: DeskChain) -> None:
        self.clock.at = minute(at)
        deliver(self.context, chain.said)
        chain.said.clear()

    def flag(self, rule: str) -> FlagRow:
        with self.context.database.reading() as db:
            return db.exec(select(FlagRow).where(FlagRow.rule == rule)).one()

    def rebuilds_alike(self) -> bool:
        before = derived(self.context)
        rebuild.rebuild(self.context)
        return derived(self.context) == before


@pytest.fixture
def server(database: Database, tmp_path: Path) -> Server:
    clock = Clock(minute(0))
    context = make_server(database, tmp_path)
    context = ServerContext(context.settings, database, context.keys, clock)
    register_device(database)
    rule_sets.activate(context)
    return Server(context, clock)


def span(flag: FlagRow) -> tuple[datetime, datetime | None]:
    return flag.begin, flag.end


def test_silence_is_noticed_once_and_ends_when_heard(server: Server) -> None:
    chain = DeskChain(server.context)
    server.hears(10, chain.empty_desk())
    assert server.ticks(24) == []
    assert server.ticks(25) == ["device.fell_silent"]
    assert server.ticks(60) == []
    assert span(server.flag("device_silent")) == (minute(10), None)
    server.hears(70, chain.zone(70, EMPTY))
    assert server.ticks(71) == ["device.heard_again"]
    assert span(server.flag("device_silent")) == (minute(10), minute(70))
    assert server.rebuilds_alike()


def test_a_box_that_is_off_at_night_is_not_silent(server: Server) -> None:
    closing = 600
    server.hears(closing, DeskChain(server.context).empty_desk(closing))
    assert server.ticks(24 * 60 + 14) == []
    assert server.ticks(24 * 60 + 15) == ["device.fell_silent"]


def test_our_own_absence_is_no_silence(server: Server) -> None:
    server.hears(10, DeskChain(server.context).empty_desk())
    assert server.ticks(100, listening_since=95) == []
    assert server.ticks(110, listening_since=95) == ["device.fell_silent"]
    assert server.flag("device_silent").begin == minute(95)


def test_a_device_never_heard_is_not_silent(server: Server) -> None:
    assert server.ticks(100) == []


def test_what_waited_for_the_database_is_asked_for_before_it_is_given_up(server: Server) -> None:
    """One worker's batch is committed two hours after it came; the other's, a moment later."""
    chain = DeskChain(server.context).empty_desk().visit(5, 9, UUID(int=1))
    late = chain.said.pop(1)
    filed = [Filed(one, file_message(one, minute(10))) for one in chain.said]
    server.clock.at = minute(130)
    ingest.append_filed(server.context, filed)
    assert "gap.given_up" not in server.ticks(131)
    ingest.append_filed(server.context, [Filed(late, file_message(late, minute(10)))])
    assert "gap.given_up" not in server.ticks(300)


def test_a_gap_is_given_up_after_its_limit_and_projection_goes_on(server: Server) -> None:
    chain = DeskChain(server.context).empty_desk().visit(5, 9, UUID(int=1))
    del chain.said[1]
    missing_too = DeskChain(server.context)
    assert missing_too.said == []
    server.hears(10, chain)
    assert "gap.given_up" not in server.ticks(69)
    assert "gap.given_up" in server.ticks(70)
    flag = server.flag("sequence_gap")
    assert (flag.facts["first"], flag.facts["last"]) == (2, 2)
    with server.context.database.reading() as db:
        assert len(db.exec(select(SessionRow)).all()) == 1
        assert db.get_one(StreamRow, ("device-a", 1)).projected_through == 4
    # A later gap of the same stream waits its own hour.
    chain.zone(75, EMPTY)
    chain.said.clear()
    server.hears(80, chain.zone(80, EMPTY))
    assert "gap.given_up" not in server.ticks(139)
    assert "gap.given_up" in server.ticks(140)
    assert server.rebuilds_alike()


def test_a_new_epoch_ends_the_old_one(server: Server) -> None:
    old = DeskChain(server.context).empty_desk().zone(5, OCCUPIED, session=UUID(int=1))
    server.hears(6, old)
    head = EpochHead(epoch=1, sequence=5, hash="0" * 64)  # two events were cut off
    server.hears(20, DeskChain(server.context, epoch=2).starts(20, head).empty_desk(20))
    assert server.ticks(21) == ["stream.superseded", "gap.given_up"]
    with server.context.database.reading() as db:
        (session,) = db.exec(select(SessionRow))
    assert (session.state, session.ended_at, session.certainty) == ("ended", minute(5), 0.5)
    assert server.flag("sequence_gap").facts["last"] == 5
    assert server.ticks(22) == []
    assert server.rebuilds_alike()


def test_an_epoch_that_lost_nothing_has_no_gap(server: Server) -> None:
    old = DeskChain(server.context).empty_desk()
    server.hears(6, old)
    assert server.ticks(7) == []
    new = DeskChain(server.context, epoch=2)
    late = new.starts(8, EpochHead(epoch=1, sequence=2, hash=old.head)).empty_desk(8).said.pop(0)
    server.hears(9, new)
    assert server.ticks(9) == []  # nothing is known of it before its first event
    new.said = [late]
    server.hears(10, new)
    assert server.ticks(10) == ["stream.superseded"]
    assert server.rebuilds_alike()


def test_an_epoch_that_names_another_end_than_is_here_is_an_incident(server: Server) -> None:
    server.hears(6, DeskChain(server.context).empty_desk())
    head = EpochHead(epoch=1, sequence=2, hash="ab" * 32)
    server.hears(8, DeskChain(server.context, epoch=2).starts(8, head))
    assert server.ticks(9) == ["stream.superseded", "incident.recorded"]
    flag = server.flag("broken_chain")
    assert (flag.facts["kind"], flag.facts["first"]) == ("other_epoch_head", 2)
    assert server.rebuilds_alike()


@pytest.mark.parametrize("data", ["[]", '{"previous_epoch":7}', '{"previous_epoch":{"epoch":1}}'])
def test_an_epoch_with_an_unreadable_beginning_stops_no_tick(server: Server, data: str) -> None:
    server.hears(6, DeskChain(server.context).empty_desk())
    begin = DeskChain(server.context, epoch=2).starts(8).said[0]
    wrong = {**orjson.loads(begin.payload), "data": orjson.loads(data)}
    ingest.append(server.context, [Incoming(begin.topic, orjson.dumps(wrong))])
    assert server.ticks(9) == ["stream.superseded"]
    assert server.rebuilds_alike()
