"""Whoever changes a log behind our back is found, record by record."""

from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from central_server.domain.server_log import DeviceFellSilent, DevicePaired, GapGivenUp
from central_server.services import anchors, ingest, verification
from central_server.services.context import ServerContext
from central_server.services.log_projector import LOG_STREAM
from central_server.storage import log_records, projection, server_log
from central_server.storage.tables import EventRow, ServerLogRow
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import canonical_bytes, sha256_hex
from event_protocol.events import EpochHead
from event_protocol.server_heads import public_hex
from tests.central_server.factories import START, EdgeChain, make_context
from tests.central_server.services.desk_days import DeskChain, deliver
from tests.central_server.services.proof_world import pair


@pytest.fixture
def context(database: Database, tmp_path: Path) -> ServerContext:
    """Twelve events with two checkpoints, a second epoch, and six entries of the server."""
    context = make_context(database, tmp_path)
    key = pair(context, "device-a", "desk-1")
    chain = EdgeChain(key=key)
    messages = [*chain.many(5), chain.checkpoint(), *chain.many(5), chain.checkpoint()]
    second = EdgeChain(epoch=2)
    second.head = chain.head
    assert ingest.append(context, [*messages, *second.many(2)])
    with database.transaction() as db:
        for number in range(5):
            entry = DeviceFellSilent(device=f"device-{number}", since=START)
            server_log.append(db, entry, at=START)
        projection.save_position(db, *LOG_STREAM, projection.open_position(db, *LOG_STREAM) + 6)
    return context


def found(context: ServerContext) -> list[str]:
    with context.database.reading() as db:
        heads = anchors.read_copies(context.settings.anchors_directory)
        trusted = [public_hex(context.keys.signing)]
        return [str(deviation) for deviation in verification.verify(db, trusted, heads)]


def change(context: ServerContext, statement: str) -> None:
    with context.database.transaction() as db:
        db.connection().execute(text(statement))


def test_untouched_logs_are_what_was_written(context: ServerContext) -> None:
    read: list[None] = []
    with context.database.reading() as db:
        assert list(verification.verify(db, [], read=lambda: read.append(None))) == []
        assert log_records.count_records(db) == len(read) == 20


def test_an_altered_body_is_named(context: ServerContext) -> None:
    with context.database.transaction() as db:
        row = db.get_one(EventRow, ("device-a", 1, 3))
        row.body = row.body.replace(b"occupied", b"emptiest")
    assert found(context) == ["device-a/1 #3: its bytes are not those that were hashed"]


def test_an_altered_body_with_its_hash_is_named_by_its_successor(context: ServerContext) -> None:
    with context.database.transaction() as db:
        row = db.get_one(EventRow, ("device-a", 1, 3))
        row.body = canonical_bytes({**orjson.loads(row.body), "boot": 9})
        row.hash = sha256_hex(row.body)
    assert found(context) == ["device-a/1 #4: does not follow the record before it"]


def test_a_chain_rewritten_up_to_a_checkpoint_is_named(context: ServerContext) -> None:
    with context.database.transaction() as db:
        tip = ""
        for sequence in range(3, 7):
            row = db.get_one(EventRow, ("device-a", 1, sequence))
            content = orjson.loads(row.body) | {"boot": 9}
            content["prevhash"] = row.prevhash = tip or row.prevhash
            row.body = canonical_bytes(content)
            tip = row.hash = sha256_hex(row.body)
        db.get_one(EventRow, ("device-a", 1, 7)).prevhash = tip
    assert found(context) == [
        "device-a/1 #5: is not what the checkpoint at 6 signed",
        "device-a/1 #7: does not follow the record before it",
    ]


def test_a_forged_checkpoint_is_named(context: ServerContext) -> None:
    with context.database.transaction() as db:
        row = db.get_one(ServerLogRow, 1)
        content = orjson.loads(row.body)
        content["data"]["public_key"] = "ab" * 32
        row.body = canonical_bytes(content)
    assert found(context) == [
        "server #1: its bytes are not those that were hashed",
        *(
            f"device-a/1 #{sequence}: the checkpoint is not signed by the device"
            for sequence in (6, 12)
        ),
    ]


def test_checkpoints_of_a_former_key_still_count(context: ServerContext) -> None:
    with context.database.transaction() as db:
        paired = DevicePaired(device="device-a", public_key="ab" * 32)
        server_log.append(db, paired, at=START)
    assert found(context) == []


@pytest.mark.parametrize(
    ("statement", "deviations"),
    [
        ("DELETE FROM event WHERE sequence = 4", ["device-a/1 #4: missing, up to 4"]),
        (
            "DELETE FROM event WHERE epoch = 2 AND sequence = 2",
            ["device-a/2 #2: missing, up to 2"],
        ),
        ("DELETE FROM event WHERE epoch = 1 AND sequence > 10", None),
        (
            "UPDATE event SET desk = 'desk-9' WHERE epoch = 1 AND sequence = 2",
            ["device-a/1 #2: the record says other than its bytes"],
        ),
        (
            "UPDATE event SET type = NULL WHERE epoch = 1 AND sequence = 2",
            ["device-a/1 #2: the record says other than its bytes"],
        ),
        (
            "UPDATE event SET body = X'676f6e65' WHERE epoch = 1 AND sequence = 6",
            ["device-a/1 #6: its bytes are not those that were hashed"],
        ),
        (
            "UPDATE server_log SET body = X'5b5d' WHERE sequence = 5",
            [
                "server #5: does not follow the record before it",
                "server #5: its bytes are not those that were hashed",
            ],
        ),
        ("DELETE FROM server_log WHERE sequence > 3", ["server #4: missing, up to 6"]),
        ("DELETE FROM server_log WHERE sequence = 2", ["server #2: missing, up to 2"]),
        (
            "UPDATE server_log SET type = 'viewed' WHERE sequence = 3",
            ["server #3: the record says other than its bytes"],
        ),
        (
            "UPDATE server_log SET hash = prevhash WHERE sequence = 6",
            ["server #6: its bytes are not those that were hashed"],
        ),
        (
            "UPDATE event SET prevhash = hash WHERE epoch = 1 AND sequence = 2",
            ["device-a/1 #2: the record says other than its bytes"],
        ),
        (
            "UPDATE server_log SET entry_id = 'x' WHERE sequence = 2",
            ["server #2: the record says other than its bytes"],
        ),
    ],
)
def test_removed_and_relabelled_records_are_named(
    context: ServerContext, statement: str, deviations: list[str] | None
) -> None:
    change(context, statement)
    if deviations is None:
        assert found(context)[0] == "device-a/1 #11: missing, up to 12"
    else:
        assert found(context) == deviations


def test_swapped_records_are_named(context: ServerContext) -> None:
    for table, key in (("event", "epoch = 1 AND sequence"), ("server_log", "sequence")):
        for old, new in ((3, 900), (4, 3), (900, 4)):
            change(context, f"UPDATE {table} SET sequence = {new} WHERE {key} = {old}")  # noqa: S608 our own words
    named = {line.split(": ")[0] for line in found(context)}
    assert {"server #3", "server #4", "device-a/1 #3", "device-a/1 #4"} <= named


def test_an_inserted_record_is_named(context: ServerContext) -> None:
    forged = EdgeChain(epoch=2)
    forged.sequence = 2
    with context.database.transaction() as db:
        last = db.get_one(EventRow, ("device-a", 2, 2))
        message = forged.presence()
        row = EventRow(**last.model_dump())
        row.sequence, row.event_id = 3, orjson.loads(message.payload)["id"]
        row.body, row.hash = message.payload, sha256_hex(message.payload)
        row.time, row.prevhash = START, orjson.loads(message.payload)["prevhash"]
        db.add(row)
        entry = db.get_one(ServerLogRow, 6)
        db.add(ServerLogRow(**{**entry.model_dump(), "sequence": 7, "entry_id": "forged"}))
    assert {line.split(": ")[0] for line in found(context)} == {"device-a/2 #3", "server #7"}


def test_a_gap_that_never_came_is_no_deviation(context: ServerContext) -> None:
    chain = EdgeChain(epoch=3)
    messages = chain.many(5)
    with context.database.reading() as db:
        tip = db.get_one(EventRow, ("device-a", 2, 2)).hash
    first = canonical_bytes({**orjson.loads(messages[0].payload), "prevhash": tip})
    ingest.append(context, [type(messages[0])(messages[0].topic, first), messages[4]])
    assert found(context) == []


@pytest.mark.parametrize(
    ("sequence", "digest", "deviations"),
    [
        (12, None, []),
        (9, None, []),  # the box remembered an earlier end
        (12, "ab" * 32, ["device-a/3 #1: does not follow the record before it"]),
        (14, "ab" * 32, ["device-a/3 #1: does not follow the record before it"]),
        (17, "ab" * 32, []),  # given up: lost with the box's disk
    ],
)
def test_an_epoch_goes_on_where_it_says_the_one_before_ended(
    context: ServerContext, sequence: int, digest: str | None, deviations: list[str]
) -> None:
    with context.database.transaction() as db:
        there = db.get(EventRow, ("device-a", 1, sequence))
        lost = GapGivenUp(device="device-a", epoch=1, first=15, last=17)
        server_log.append(db, lost, at=START)
    head = EpochHead(epoch=1, sequence=sequence, hash=digest or (there.hash if there else ""))
    third = DeskChain(context, epoch=3)
    third.head = head.hash
    deliver(context, third.starts(1, head).said)
    assert found(context) == deviations


def test_a_box_that_lost_its_disk_begins_anew(context: ServerContext) -> None:
    deliver(context, DeskChain(context, epoch=3).starts(1).said)
    assert found(context) == []
