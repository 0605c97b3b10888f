"""Old events go behind a signed checkpoint: what was made of them stays, and the proof goes on."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text
from sqlmodel import select

from central_server.domain.custody_log import EventsDropped, StreamsCut
from central_server.domain.permissions import FlagScope, UnitId, UserId, everywhere
from central_server.domain.server_log import GapGivenUp
from central_server.services import (
    anchors,
    flags,
    ingest,
    log_export,
    log_retention,
    projector,
    rebuild,
    retention,
    tick,
    verification,
)
from central_server.storage import events, projection, server_log, stream_cuts
from central_server.storage.tables import EventRow, FeedbackRow, FlagRow, ServerLogRow
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import canonical_bytes
from event_protocol.events import EpochHead
from event_protocol.server_heads import public_hex
from event_protocol.verify_export import verify_export
from tests.central_server.factories import Clock, make_context
from tests.central_server.services.desk_days import (
    EMPTY,
    OCCUPIED,
    RULES_FILE,
    DeskChain,
    busy_morning,
    deliver,
    derived,
    minute,
)
from tests.central_server.services.proof_world import pair

MARCH, MAY, JULY = (datetime(2026, month, 10, tzinfo=UTC) for month in (3, 5, 7))
SOON = [{"since": "2000-01-01", "ratings_days": 1, "complaints_days": 1}]


class World:
    """A server, and what two boxes say to it in March and in May."""

    def __init__(self, database: Database, folder: Path, keep_months: int | None) -> None:
        self.clock = Clock(MARCH)
        self.context = make_context(
            database,
            folder,
            self.clock,
            rules_file=RULES_FILE,
            events_months=keep_months,
            retention=SOON,
        )
        key = pair(self.context, "device-a", "desk-1")
        other = pair(self.context, "device-b", "desk-2")
        self.chain = busy_morning(self.context, key)
        self.chain.zone(110, OCCUPIED, session=UUID(int=9))
        self.left = DeskChain(self.context, "device-b", "desk-2", key=other)
        self.left.starts(0).empty_desk().visit(5, 9, UUID(int=10))
        self.march = [*self.chain.said, *self.left.said]
        self.chain.said.clear()
        self.chain.zone(120, EMPTY).visit(130, 140, UUID(int=11))
        self.chain.said.append(self.chain.checkpoint())
        end = EpochHead(epoch=1, sequence=self.left.sequence, hash=self.left.head)
        self.next = DeskChain(self.context, "device-b", "desk-2", epoch=2, key=other)
        self.next.head = self.left.head
        self.next.starts(200, end).empty_desk(201).visit(210, 220, UUID(int=12))
        self.may = [*self.chain.said, *self.next.said]

    def live(self) -> None:
        """March and May come in; every flag is decided on."""
        for at, said in ((MARCH, self.march), (MAY, self.may)):
            self.clock.at = at
            tick.tick(self.context, at)
            deliver(self.context, said)
            tick.tick(self.context, at)
            anchors.anchor(self.context)
        self.clock.at = JULY

    def dismiss_all(self) -> None:
        scope = FlagScope(everywhere([UnitId("unit-a")]), inspection=True)
        with self.context.database.reading() as db:
            undecided = db.exec(select(FlagRow.flag_id).where(FlagRow.state == "open")).all()
        for flag in undecided:
            flags.dismiss(self.context, scope, flag, UserId("an"), "xong")

    def rows(self) -> dict[str, list[Any]]:
        """All that is derived, but for the mark of what stands for it."""
        found = derived(self.context)
        with self.context.database.reading() as db:
            feedback = db.exec(select(FeedbackRow).order_by(FeedbackRow.feedback_id)).all()
            raised = db.exec(select(FlagRow).order_by(FlagRow.flag_id)).all()
        for name, rows in (("feedback", feedback), ("flag", raised)):
            found[name] = [one.model_dump(exclude={"log_sequence"}) for one in rows]
        return found

    def places(self) -> set[tuple[str, int, int]]:
        with self.context.database.reading() as db:
            found = db.exec(select(EventRow.device, EventRow.epoch, EventRow.sequence))
            return {(device, epoch, sequence) for device, epoch, sequence in found}

    def deviations(self) -> list[str]:
        with self.context.database.reading() as db:
            trusted = [public_hex(self.context.keys.signing)]
            heads = anchors.read_copies(self.context.settings.anchors_directory)
            return [str(one) for one in verification.verify(db, trusted, heads)]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return lived_in(database, tmp_path)


@pytest.fixture
def any_world(any_database: Database, tmp_path: Path) -> World:
    return lived_in(any_database, tmp_path)


def lived_in(database: Database, folder: Path) -> World:
    world = World(database, folder, keep_months=2)
    world.live()
    world.dismiss_all()
    return world


def test_nothing_is_ever_dropped_unless_it_is_said(database: Database, tmp_path: Path) -> None:
    world = World(database, tmp_path, keep_months=None)
    world.live()
    world.dismiss_all()
    before = world.places()
    retention.run_due(world.context)
    assert world.places() == before


def test_old_months_go_and_what_was_made_of_them_stays(any_world: World) -> None:
    march = {(chain.device, 1) for chain in (any_world.chain, any_world.left)}
    before, places = any_world.rows(), any_world.places()
    retention.run_due(any_world.context)
    gone = places - any_world.places()
    assert len(gone) == len(any_world.march)
    assert {place[:2] for place in gone} == march
    assert len(any_world.places()) == len(any_world.may)
    # Words went first, by their own retention; sessions, days and flags are the same rows.
    after = any_world.rows()
    assert [after[name] for name in ("service_session", "desk_day")] == [
        before[name] for name in ("service_session", "desk_day")
    ]
    with any_world.context.database.reading() as db:
        entries = [logged.entry for logged in server_log.read_after(db, 0)]
        [dropped] = [one for one in entries if isinstance(one, EventsDropped)]
        [cut] = [one for one in entries if isinstance(one, StreamsCut)]
        traced = db.exec(select(FeedbackRow.log_sequence)).all()
        at = server_log.last_sequence_of(db, log_retention.DROPPED)
    assert (dropped.events, dropped.streams, dropped.until) == (
        len(any_world.march),
        1,
        datetime(2026, 5, 1, tzinfo=UTC),
    )
    [of_a, of_b] = cut.spans
    assert of_b == ("device-b", 1, 1, 5, any_world.left.head, 5)
    assert of_a[:2] + of_a[2:4] == ("device-a", 1, 1, of_a[5])
    assert set(traced) == {at}
    assert any_world.deviations() == []
    assert log_retention.run_due(any_world.context) is None


def test_an_export_proves_itself_from_the_checkpoint_on(world: World) -> None:
    retention.run_due(world.context)
    target = BytesIO()
    log_export.export_log(world.context, target, by="auditor")
    lines = target.getvalue().splitlines(keepends=True)
    trusted = [public_hex(world.context.keys.signing)]
    assert list(verify_export(BytesIO(b"".join(lines)), trusted)) == []
    first = next(i for i, line in enumerate(lines) if orjson.loads(line)["kind"] == "event")
    without = b"".join(lines[:first] + lines[first + 1 :])
    found = [str(one) for one in verify_export(BytesIO(without), trusted)]
    assert found[0].startswith("device-a/1 #")
    assert "missing" in found[0]


def test_a_rebuild_goes_on_from_the_checkpoint_and_says_so(any_world: World) -> None:
    retention.run_due(any_world.context)
    before = any_world.rows()
    kept = rebuild.rebuild(any_world.context)
    assert any_world.rows() == before
    assert kept.streams == 2
    assert kept.rows["service_session"] > 0
    assert kept.rows["feedback"] == len(before["feedback"])


def test_what_is_folded_anew_begins_at_the_checkpoint(world: World) -> None:
    retention.run_due(world.context)
    before = world.rows()
    with world.context.database.transaction() as db:
        projection.mark_refold(db, minute(0))
    tick.tick(world.context, JULY)
    assert world.rows() == before


def test_what_comes_later_is_derived_as_if_nothing_were_gone(
    database: Database, tmp_path: Path
) -> None:
    """March is dropped before May's events come: the stay that was under way ends all the same."""
    world = World(database, tmp_path / "a", keep_months=1)
    for said in (world.march, world.may):
        tick.tick(world.context, world.clock.at)
        deliver(world.context, said)
        world.dismiss_all()
        world.clock.at = MAY
        retention.run_due(world.context)
    with world.context.database.reading() as db:
        cuts = {cut.stream: cut.through for cut in stream_cuts.list_all(db)}
    assert cuts == {("device-a", 1): len(world.march) - 5, ("device-b", 1): 5}
    sessions = {row[0]: row for row in world.rows()["service_session"]}
    assert sessions[str(UUID(int=9))][9] == minute(120)
    assert world.deviations() == []


def test_what_was_dropped_is_known(any_world: World) -> None:
    retention.run_due(any_world.context)
    before = any_world.places()
    receipts = ingest.append(any_world.context, any_world.march)
    assert {(device, one.epoch): one.through for device, one in receipts} == {
        ("device-a", 1): any_world.chain.sequence,
        ("device-b", 1): 5,
    }
    assert any_world.places() == before
    assert any_world.deviations() == []


def test_what_came_late_goes_with_what_stood_behind_it(
    any_database: Database, tmp_path: Path
) -> None:
    world = World(any_database, tmp_path, keep_months=2)
    missing = world.march.pop(3)
    world.clock.at = MARCH
    deliver(world.context, world.march)
    with world.context.database.transaction() as db:
        gap = GapGivenUp(device="device-a", epoch=1, first=4, last=4)
        server_log.append(db, gap, at=MARCH)
    world.clock.at = MAY
    deliver(world.context, [*world.may, missing])
    tick.tick(world.context, MAY)
    world.dismiss_all()
    world.clock.at = JULY
    before = world.rows()["service_session"]
    retention.run_due(world.context)
    assert len(world.places()) == len(world.may)
    rebuild.rebuild(world.context)
    assert world.rows()["service_session"] == before
    assert world.deviations() == []


def test_words_that_are_kept_keep_their_month(database: Database, tmp_path: Path) -> None:
    world = World(database, tmp_path, keep_months=2)
    world.live()  # complaints whose flags are open
    before = world.places()
    retention.run_due(world.context)
    assert world.places() == before
    world.dismiss_all()
    retention.run_due(world.context)
    assert len(world.places()) == len(world.may)


def test_an_open_gap_keeps_its_month(database: Database, tmp_path: Path) -> None:
    world = World(database, tmp_path, keep_months=2)
    deliver(world.context, [one for one in world.march if one is not world.march[2]])
    world.clock.at = JULY
    assert log_retention.run_due(world.context) is None
    projector.project_behind(world.context)
    assert len(world.places()) == len(world.march) - 1


@pytest.mark.parametrize("place", ["before", "alone"])
def test_nobody_else_drops_events(world: World, place: str) -> None:
    """Who can write into the database, but has not the server's key."""
    with world.context.database.transaction() as db:
        last = events.find_hashes(db, [("device-b", 2, 3)])["device-b", 2, 3]
        forged = StreamsCut(spans=(("device-b", 2, 1, 3, last, 3),))
        server_log.append(db, forged, at=JULY)
        if place == "before":
            server_log.append(db, GapGivenUp(device="device-b", epoch=1, first=9, last=9), at=JULY)
    if place == "before":
        assert log_retention.run_due(world.context) is None  # words: nothing is signed yet
        retention.run_due(world.context)
    with world.context.database.transaction() as db:
        gone = "DELETE FROM event WHERE device = 'device-b' AND epoch = 2 AND sequence < 4"
        db.connection().execute(text(gone))
    assert "device-b/2 #1: missing, up to 3" in world.deviations()


def test_a_checkpoint_that_was_altered_stands_for_nothing(world: World) -> None:
    retention.run_due(world.context)
    with world.context.database.transaction() as db:
        at = server_log.last_sequence_of(db, log_retention.DROPPED)
        row = db.get_one(ServerLogRow, at)
        body = orjson.loads(row.body)
        body["data"]["head"]["signature"] = "00" * 64
        row.body = canonical_bytes(body)
    found_now = world.deviations()
    assert any("the signed head is not what was signed" in one for one in found_now)
    assert any(one.startswith("device-a/1 #1: missing") for one in found_now)
