"""Damaged messages of every type through decoding, log, quarantine, health and projection.

Nothing is raised, nothing is lost, and no neighbour in the batch is held up. `make soak` sends
200,000; here a share of them, with the same seed.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from sqlmodel import col, select

from central_server.services import device_links, ingest, projector
from central_server.services.context import ServerContext
from central_server.services.device_links import LinkNews
from central_server.services.filing import Incoming, file_message
from central_server.storage import events, schema
from central_server.storage.quarantine import Misfit
from central_server.storage.tables import QuarantineRow, StreamRow
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import canonical_bytes
from event_protocol.events import SOURCE_PREFIX
from event_protocol.examples import example_events, example_status, example_telemetry
from event_protocol.messages import encode_message
from event_protocol.names import DeviceId, format_time
from event_protocol.topics import Channel, topic_of
from tests.central_server.factories import START, Clock, EdgeChain, make_context, register_device
from tests.central_server.mutations import mutate

MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "10000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
BATCH, HONEST_IN_BATCH = 1000, 20
LOOKED_AT = 50  # one of so many is followed to where it lies
STRANGE, HONEST = DeviceId("device-strange"), DeviceId("device-a")


@pytest.fixture
def context(tmp_path: Path) -> Iterator[ServerContext]:
    database = Database(f"sqlite:///{tmp_path / 'server.sqlite'}")
    schema.migrate(database)
    register_device(database, STRANGE, desks=("counter-1",))
    register_device(database, HONEST)
    yield make_context(database, tmp_path, Clock())
    database.close()


def damaged_events(dice: Random) -> Iterator[Incoming]:
    """Of every type, each at the next position before it is damaged."""
    real = [one.model_dump(mode="json", exclude_none=True) for one in example_events()]
    topic, sequence = topic_of(STRANGE, Channel.EVENTS), 0
    while True:
        sequence += 1
        own = {
            "source": SOURCE_PREFIX + STRANGE,
            "sequence": sequence,
            "id": str(UUID(int=dice.getrandbits(128), version=4)),
            "time": format_time(START + timedelta(seconds=sequence)),
        }
        payload = canonical_bytes({**real[sequence % len(real)], **own})
        yield Incoming(topic, mutate(dice, payload))


def damaged_health(dice: Random) -> list[LinkNews]:
    news = []
    for channel, message in (
        (Channel.STATUS, example_status()),
        (Channel.TELEMETRY, example_telemetry()),
    ):
        topic, payload = topic_of(STRANGE, channel), encode_message(message)
        news += [LinkNews(Incoming(topic, mutate(dice, payload)), retained=False)] * 10
    return news


def where_it_lies(context: ServerContext, message: Incoming) -> bool:
    filed = file_message(message, context.now())
    with context.database.reading() as db:
        if not isinstance(filed, Misfit):
            return bool(events.find_hashes(db, [filed[:3]]))
        same = select(QuarantineRow).where(col(QuarantineRow.sha256) == filed.sha256)
        return db.exec(same).first() is not None


@pytest.mark.timeout(900)  # for 200,000 on a busy machine
def test_no_damaged_message_hurts_the_server_or_its_neighbours(context: ServerContext) -> None:
    dice = Random(SEED)  # noqa: S311 - the same damage again
    source, honest = damaged_events(dice), EdgeChain(HONEST)
    print(f"FUZZ_SEED={SEED} FUZZ_MESSAGES={MESSAGES}")  # noqa: T201 - to repeat a failure
    for batch_number in range(1, MESSAGES // BATCH + 1):
        damaged = [next(source) for _ in range(BATCH)]
        batch = damaged + honest.many(HONEST_IN_BATCH)
        dice.shuffle(batch)
        receipts = dict(ingest.append(context, batch))
        assert receipts[HONEST].through == batch_number * HONEST_IN_BATCH
        device_links.take(context, damaged_health(dice))
        assert all(where_it_lies(context, one) for one in damaged[::LOOKED_AT])
    with context.database.reading() as db:
        streams = [(row.device, row.epoch) for row in db.exec(select(StreamRow))]
    projector.project_devices(context, streams)
    with context.database.reading() as db:
        kept = db.get_one(StreamRow, (HONEST, 1))
        assert kept.projected_through == kept.received_through == honest.sequence
