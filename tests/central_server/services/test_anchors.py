"""Once a day a signed head leaves the machine, and holds whoever can rewrite the database to it."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from central_server.domain.custody_log import LogAnchored, StreamsAnchored
from central_server.domain.server_log import entry_hash
from central_server.services import anchors, tick, verification
from central_server.services.context import ServerContext
from central_server.settings import AnchorSettings
from central_server.storage import server_log
from central_server.storage.tables import EventRow, ServerLogRow, StreamRow
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import canonical_bytes
from event_protocol.events import EpochHead, PresenceState
from event_protocol.server_heads import SignedHead, public_hex
from tests.central_server.factories import Clock
from tests.central_server.services.desk_days import DeskChain, deliver, minute
from tests.central_server.services.proof_world import make_logs
from tests.processes.message_receivers import Webhook

# apprise loads all its plug-ins on first use, and one of them still looks for an old module.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def context(database: Database, tmp_path: Path) -> ServerContext:
    return make_logs(database, tmp_path)


def entries(context: ServerContext, kind: type[LogAnchored] | type[StreamsAnchored]) -> list[int]:
    with context.database.reading() as db:
        found = server_log.read_after(db, 0)
        return [logged.sequence for logged in found if isinstance(logged.entry, kind)]


def found(context: ServerContext, folder: Path | None = None) -> list[str]:
    trusted = [public_hex(context.keys.signing)]
    heads = anchors.read_copies(folder or context.settings.anchors_directory)
    with context.database.reading() as db:
        return [str(one) for one in verification.verify(db, trusted, heads)]


def test_the_log_is_anchored_once_a_day(context: ServerContext) -> None:
    assert isinstance(context.now, Clock)
    anchors.anchor_daily(context)
    assert len(entries(context, LogAnchored)) == 1  # that of make_logs
    context.now.advance(timedelta(days=1).total_seconds())
    anchors.anchor_daily(context)
    anchors.anchor_daily(context)
    assert len(entries(context, LogAnchored)) == len(entries(context, StreamsAnchored)) == 2
    copies = list(anchors.read_copies(context.settings.anchors_directory))
    assert [copy.time.day for copy in copies] == [2, 3]
    assert all(copy.is_genuine for copy in copies)
    assert found(context) == []


def test_an_anchor_tells_of_every_epoch_that_grew(context: ServerContext) -> None:
    assert isinstance(context.now, Clock)
    chain = DeskChain(context, "device-b", "desk-device-b")
    with context.database.reading() as db:
        chain.sequence, chain.head = 2, db.get_one(EventRow, ("device-b", 1, 2)).hash
    chain.zone(290, PresenceState.EMPTY)
    end = EpochHead(epoch=1, sequence=3, hash=chain.head)
    later = DeskChain(context, "device-b", "desk-device-b", 2)
    later.head = chain.head
    deliver(context, [*chain.said, *later.starts(300, end).said])
    for _ in range(2):
        context.now.advance(timedelta(days=1).total_seconds())
        tick.tick(context, context.now())
        anchors.anchor_daily(context)
    with context.database.reading() as db:
        said = [
            [head[:3] for head in logged.entry.heads]
            for logged in server_log.read_after(db, 0)
            if isinstance(logged.entry, StreamsAnchored)
        ]
    quiet = ("device-o", 1, 2)
    assert said == [
        [("device-a", 1, 8), ("device-a", 2, 6), ("device-b", 1, 2), quiet],
        [("device-a", 2, 6), ("device-b", 1, 3), ("device-b", 2, 1), quiet],
        [("device-a", 2, 6), ("device-b", 2, 1), quiet],
    ]
    assert found(context) == []


def test_a_share_that_is_away_gets_its_copy_later(context: ServerContext) -> None:
    folder = context.settings.anchors_directory
    [copy] = folder.iterdir()
    before = copy.read_bytes()
    copy.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    anchors.anchor_daily(context)
    folder.unlink()
    anchors.anchor_daily(context)
    assert copy.read_bytes() == before


def test_a_log_rewritten_with_its_own_anchor_is_found_by_the_copy(
    context: ServerContext, tmp_path: Path
) -> None:
    """Everything re-chained, the anchors taken out: the database alone shows nothing any more."""
    with context.database.transaction() as db:
        kept = [row for row in server_log.read_rows(db) if "anchored" not in row.type]
        for row in list(server_log.read_rows(db)):
            db.delete(row)
        db.flush()
        db.expunge_all()
        tip, sequence = "0" * 64, 0
        for old in kept:
            sequence += 1
            body = {**orjson.loads(old.body), "sequence": sequence, "prevhash": tip}
            if body["data"]["type"] == "flag.dismissed":
                body["data"]["by"] = "somebody else"
            new = ServerLogRow(**{**old.model_dump(), "sequence": sequence, "prevhash": tip})
            new.body = canonical_bytes(body)
            tip = new.hash = entry_hash(new.body)
            db.add(new)
        log = db.get_one(StreamRow, ("server-log", 1))
        log.received_through = log.projected_through = sequence
    empty = tmp_path / "empty"
    empty.mkdir()
    assert found(context, empty) == []
    assert found(context) != []


def test_events_taken_from_the_end_with_their_receipt_are_found(context: ServerContext) -> None:
    with context.database.transaction() as db:
        stream = db.get_one(StreamRow, ("device-b", 1))
        db.delete(db.get_one(EventRow, ("device-b", 1, stream.received_through)))
        stream.received_through -= 1
        stream.highest_seen -= 1
    assert found(context) == ["device-b/1 #2: missing, up to 2"]


def test_a_head_is_sent_to_who_shall_keep_it(context: ServerContext, database: Database) -> None:
    with Webhook() as keeper, Webhook() as other:
        other.status = 500
        settings = context.settings.model_copy(
            update={"anchors": AnchorSettings(targets=(keeper.address, other.address))}
        )
        later = ServerContext(settings, database, context.keys, Clock(minute(3000)))
        anchors.anchor_daily(later)
        anchors.anchor_daily(later)
    [post] = keeper.posts
    head = SignedHead.model_validate_json(post["message"].rpartition("\n\n")[2])
    assert head.is_genuine
    assert head.time == minute(3000)
    assert other.posts == []


def test_a_file_that_is_no_head_is_left_alone(context: ServerContext) -> None:
    folder = context.settings.anchors_directory
    (folder / "head-x.json").write_text("{}")
    assert len(list(anchors.read_copies(folder))) == 1
