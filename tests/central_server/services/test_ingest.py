"""Whatever arrives, in whatever order and however often: one log, receipts that tell the truth."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from central_server.domain.server_log import IncidentRecorded
from central_server.services import device_receipts, ingest
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.storage import events as event_store
from central_server.storage import quarantine, registry, server_log
from central_server.storage.events import StoredEvent
from central_server.storage.tables import StreamRow
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import canonical_bytes, sha256_hex
from event_protocol.codec import hash_event
from event_protocol.messages import Receipt
from event_protocol.names import format_time
from tests.central_server.factories import START, Clock, EdgeChain, make_context, register_device


@pytest.fixture
def clock() -> Clock:
    return Clock(START + timedelta(hours=1))


@pytest.fixture
def context(any_database: Database, tmp_path: Path, clock: Clock) -> ServerContext:
    register_device(any_database)
    return make_context(any_database, tmp_path, clock)


def only_receipt(context: ServerContext, batch: Iterable[Incoming]) -> Receipt:
    [(device, receipt)] = ingest.append(context, list(batch))
    assert device == "device-a"
    return receipt


def logged(context: ServerContext, epoch: int = 1) -> list[StoredEvent]:
    with context.database.reading() as db:
        return list(event_store.read_stream(db, "device-a", epoch))


def incidents(context: ServerContext) -> list[IncidentRecorded]:
    with context.database.reading() as db:
        entries = [logged.entry for logged in server_log.read_after(db, 0)]
    return [entry for entry in entries if isinstance(entry, IncidentRecorded)]


def quarantined(context: ServerContext) -> list[tuple[str, str]]:
    with context.database.reading() as db:
        return [(row.kind, row.reason) for row in quarantine.list_latest(db)]


def altered(message: Incoming, **changes: object) -> Incoming:
    content = {**orjson.loads(message.payload), **changes}
    return Incoming(message.topic, canonical_bytes(content))


def test_a_batch_is_filed_and_receipted(context: ServerContext, clock: Clock) -> None:
    chain = EdgeChain()
    batch = chain.many(5)
    receipt = only_receipt(context, batch)
    assert receipt == Receipt(epoch=1, through=5, hash=chain.head, server_time=clock.at)
    rows = logged(context)
    assert [row.body for row in rows] == [message.payload for message in batch]
    assert [row.sequence for row in rows] == [1, 2, 3, 4, 5]
    assert {(row.type, row.desk, row.clock) for row in rows} == {
        ("onestop.presence.observed", "desk-1", "ok")
    }
    assert rows[0].time == START + timedelta(seconds=1)
    assert rows[0].received_at == clock.at
    assert [row.prevhash for row in rows[1:]] == [row.hash for row in rows[:-1]]
    with context.database.reading() as db:
        assert registry.list_devices(db)[0].last_heard_at == clock.at
        assert list(event_store.read_contiguous(db, "device-a", 1, 3)) == rows[3:]


def test_what_is_known_changes_nothing_but_is_receipted(
    context: ServerContext, clock: Clock
) -> None:
    batch = EdgeChain().many(4)
    first = only_receipt(context, batch)
    before = logged(context)
    clock.advance(5)
    assert only_receipt(context, [*batch, *batch]).hash == first.hash
    assert logged(context) == before
    assert quarantined(context) == []
    assert incidents(context) == []


@pytest.mark.parametrize("seed", range(5))
def test_order_and_repeats_do_not_matter(context: ServerContext, clock: Clock, seed: int) -> None:
    chain = EdgeChain()
    chance = random.Random(seed)  # noqa: S311 - a test's dice
    messages = chain.many(40)
    arriving = messages + chance.choices(messages, k=30)
    chance.shuffle(arriving)
    while arriving:
        size = chance.randint(1, 9)
        some, arriving = arriving[:size], arriving[size:]
        receipt = only_receipt(context, some)
        present = {row.sequence for row in logged(context)}
        assert all(sequence in present for sequence in range(1, receipt.through + 1))
    assert (receipt.through, receipt.hash, receipt.resend) == (40, chain.head, None)
    assert [row.body for row in logged(context)] == [message.payload for message in messages]
    assert quarantined(context) == []
    assert incidents(context) == []


def test_a_gap_is_asked_for_now_and_then(context: ServerContext, clock: Clock) -> None:
    chain = EdgeChain()
    messages = chain.many(10)
    receipt = only_receipt(context, [*messages[:3], *messages[6:8]])
    assert receipt.through == 3
    assert receipt.resend is not None
    assert (receipt.resend.first, receipt.resend.last) == (4, 6)
    assert only_receipt(context, messages[8:9]).resend is None  # asked a moment ago
    assert device_receipts.remind(context) == []
    clock.advance(11)
    [(_, reminder)] = device_receipts.remind(context)
    assert reminder.resend == receipt.resend
    clock.advance(11)
    assert only_receipt(context, messages[9:]).resend == receipt.resend
    filled = only_receipt(context, messages[3:6])
    assert (filled.through, filled.hash, filled.resend) == (10, chain.head, None)
    clock.advance(11)
    assert device_receipts.remind(context) == []


def test_a_device_that_comes_back_is_told_where_it_stands(context: ServerContext) -> None:
    chain = EdgeChain()
    only_receipt(context, chain.many(2))
    _, known = device_receipts.state_of(context, ("device-a", 1))
    assert (known.through, known.hash) == (2, chain.head)
    _, unknown = device_receipts.state_of(context, ("device-a", 2))
    assert (unknown.epoch, unknown.through, unknown.hash) == (2, 0, None)


def test_workers_that_share_a_queue_give_a_gap_time_to_fill(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    register_device(database)
    sharing = make_context(database, tmp_path, clock, broker={"amqp": ("127.0.0.1:5672",)})
    messages = EdgeChain().many(5)
    assert only_receipt(sharing, messages[2:3]).resend is None
    assert device_receipts.remind(sharing)[0][1].resend is None
    clock.advance(6)
    resend = only_receipt(sharing, messages[4:]).resend
    assert resend is not None
    assert (resend.first, resend.last) == (1, 2)


def test_late_facts_in_a_given_up_gap_ask_for_a_new_fold(context: ServerContext) -> None:
    messages = EdgeChain().many(5)
    only_receipt(context, [messages[0], messages[4]])
    with context.database.transaction() as db:
        row = db.get_one(StreamRow, ("device-a", 1))
        row.given_up = [[2, 4]]
    only_receipt(context, messages[1:4])
    with context.database.reading() as db:
        assert db.get_one(StreamRow, ("device-a", 1)).must_refold


def test_other_bytes_at_a_known_position_are_an_incident_once(context: ServerContext) -> None:
    messages = EdgeChain().many(3)
    only_receipt(context, messages)
    forged = altered(messages[1], boot=7)
    for _ in range(3):
        assert only_receipt(context, [forged]).through == 3
    assert [row.body for row in logged(context)] == [message.payload for message in messages]
    assert quarantined(context) == [("other_bytes", "the position is known with other bytes")]
    [incident] = incidents(context)
    assert (incident.sequence, incident.sha256) == (2, hash_event(forged.payload))


def test_other_bytes_within_one_batch(context: ServerContext) -> None:
    messages = EdgeChain().many(2)
    only_receipt(context, [*messages, altered(messages[0], boot=7)])
    assert [row.body for row in logged(context)] == [message.payload for message in messages]
    assert [incident.kind for incident in incidents(context)] == ["other_bytes"]


def test_a_known_id_elsewhere_occupies_its_position(context: ServerContext) -> None:
    chain, event_id = EdgeChain(), uuid4()
    first = chain.presence(event_id=event_id)
    copied = chain.presence(event_id=event_id)
    last = chain.presence()
    for batch in ([first, copied, last], [copied], [first]):
        assert only_receipt(context, batch).through == 3
    rows = logged(context)
    assert [row.event_id is None for row in rows] == [False, True, False]
    assert rows[1].type is None
    assert rows[1].reason == "its id is known at another position"
    assert rows[1].body == copied.payload
    assert [(i.kind, i.sequence) for i in incidents(context)] == [("known_id_elsewhere", 2)]


def test_bad_content_occupies_its_position(context: ServerContext) -> None:
    chain = EdgeChain()
    first = chain.presence()
    bad = chain.raw(altered(EdgeChain().presence(), sequence=2, type="onestop.nonsense").payload)
    nul = chain.raw(altered(bad, sequence=3, id="nul \0 in an id", prevhash=5).payload)
    last = chain.presence()
    receipt = only_receipt(context, [first, bad, nul, last])
    assert (receipt.through, receipt.hash, receipt.rejected) == (4, chain.head, ())
    rows = logged(context)
    assert [row.type is None for row in rows] == [False, True, True, False]
    assert rows[1].body == bad.payload
    assert rows[1].reason is not None
    assert rows[1].reason.startswith("wrong schema")


@pytest.mark.parametrize(
    ("time", "mark"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), "past"),
        (datetime(2090, 1, 1, tzinfo=UTC), "future"),
        (START, "ok"),
    ],
)
def test_a_wrong_clock_is_marked_not_rejected(
    context: ServerContext, time: datetime, mark: str
) -> None:
    assert only_receipt(context, [EdgeChain().presence(time=time)]).through == 1
    [row] = logged(context)
    assert (row.time, row.clock) == (time, mark)


def test_an_unknown_desk_is_kept(context: ServerContext) -> None:
    assert only_receipt(context, [EdgeChain().presence(desk="nowhere")]).through == 1
    assert [row.desk for row in logged(context)] == ["nowhere"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\x00 not JSON", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"source":"/devices/device-b","epoch":1,"sequence":1}', "source is not the topic's"),
        (b'{"source":"/devices/device-a","epoch":0,"sequence":1}', "no readable epoch"),
        (b'{"source":"/devices/device-a","epoch":1,"sequence":"1"}', "no readable sequence"),
        (b"x" * 10_000_000, "too large"),
    ],
)
def test_what_has_no_position_is_named_as_rejected(
    context: ServerContext, payload: bytes, reason: str
) -> None:
    chain = EdgeChain()
    only_receipt(context, chain.many(2))
    for _ in range(2):
        receipt = only_receipt(context, [Incoming("onestop/v1/device-a/events", payload)])
        assert [rejection.sha256 for rejection in receipt.rejected] == [sha256_hex(payload)]
        assert receipt.rejected[0].reason.startswith(reason)
        assert (receipt.through, receipt.hash) == (2, chain.head)
    [(kind, why)] = quarantined(context)
    assert kind == "refused"
    assert why.startswith(reason)
    assert only_receipt(context, chain.many(1)).through == 3


def test_a_rejection_travels_with_the_receipt_of_the_same_batch(context: ServerContext) -> None:
    junk = Incoming("onestop/v1/device-a/events", b"junk")
    receipt = only_receipt(context, [junk, *EdgeChain().many(2)])
    assert receipt.through == 2
    assert len(receipt.rejected) == 1


def test_before_the_first_event_a_rejection_says_nothing_is_committed(
    context: ServerContext,
) -> None:
    receipt = only_receipt(context, [Incoming("onestop/v1/device-a/events", b"junk")])
    assert (receipt.epoch, receipt.through, receipt.hash) == (1, 0, None)


def test_unknown_and_revoked_devices_get_nothing(context: ServerContext, clock: Clock) -> None:
    with context.database.transaction() as db:
        registry.list_devices(db)[0].revoked_at = clock.at
    stranger = EdgeChain("device-x").presence()
    assert ingest.append(context, [EdgeChain().presence(), stranger]) == []
    assert logged(context) == []
    assert {reason for _, reason in quarantined(context)} == {
        "the device is not registered here",
        f"the device was revoked at {format_time(clock.at)}",
    }


def test_a_topic_of_another_kind_is_refused(context: ServerContext) -> None:
    assert ingest.append(context, [Incoming("onestop/v1/device-a/other", b"{}")]) == []
    assert quarantined(context) == [("refused", "not a topic of events")]


def test_the_ciphertext_stands_beside_the_chained_bytes(context: ServerContext) -> None:
    chain = EdgeChain()
    message = chain.feedback(sealed="0123:AAAA", digest="ab" * 32)
    receipt = only_receipt(context, [message, chain.presence()])
    assert receipt.hash == chain.head
    [row, following] = logged(context)
    assert row.sealed == "0123:AAAA"
    assert b"sealed" not in row.body
    assert sha256_hex(row.body) == row.hash == following.prevhash
    odd = altered(message, sequence=3, sealed={"not": "text"}, id=str(uuid4()))
    only_receipt(context, [odd])
    assert logged(context)[2].sealed == '{"not":"text"}'
    assert sha256_hex(logged(context)[2].body) == logged(context)[2].hash


def test_streams_of_many_devices_in_one_batch(context: ServerContext) -> None:
    chains = [EdgeChain(f"device-{number}") for number in range(30)]
    for chain in chains:
        register_device(context.database, chain.device, desks=())
    batch = [message for chain in chains for message in chain.many(3)]
    random.Random(1).shuffle(batch)  # noqa: S311 - a test's dice
    receipts = dict(ingest.append(context, batch))
    assert {d: (r.through, r.hash) for d, r in receipts.items()} == {
        chain.device: (3, chain.head) for chain in chains
    }
