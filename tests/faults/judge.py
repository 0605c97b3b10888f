"""The verdict after each fault: nothing lost, nothing twice, all of it can be derived again."""

import time
from collections import Counter
from collections.abc import Iterable
from random import Random

from sqlmodel import col, select

from central_server.services import rebuild
from central_server.storage import quarantine
from central_server.storage.tables import EventRow, StreamRow
from tests.central_server.services.desk_days import derived
from tests.faults import shared_work  # noqa: F401 - enters its faults
from tests.faults.injections import FAULTS, LOOKS_EVERY_S
from tests.faults.world import World
from tests.processes.ports import wait_until

DELIVERED_WITHIN_S = 90


def wait_until_delivered(world: World) -> None:
    """Until all that was wanted is said, receipted, committed and projected."""
    for what, is_so in {
        "all is said": lambda: world.fleet.has_said_all,
        "all has its receipt": lambda: world.fleet.waiting() == 0,
        "all is projected": lambda: not _is_behind(world),
    }.items():
        wait_until(is_so, DELIVERED_WITHIN_S, what, LOOKS_EVERY_S)


def judge(world: World) -> int:
    """Holds what the boxes made against what the server holds; how many events that are.

    All must be delivered, the boxes at rest.
    """
    fleets = [world.fleet, *world.twins]
    produced = set[str]().union(*(fleet.produced() for fleet in fleets))
    with world.context.database.reading() as db:
        stored = Counter(db.exec(select(EventRow.event_id)))
        refused = quarantine.count(db)
        tips = {
            (row.device, row.epoch, row.received_through)
            for row in db.exec(select(StreamRow))
            if row.received_through == row.highest_seen
        }
    lost, strange = produced - stored.keys(), stored.keys() - produced
    twice = [event_id for event_id, count in stored.items() if count > 1]
    found = {"lost": len(lost), "twice": len(twice), "strange": len(strange), "refused": refused}
    assert found == {"lost": 0, "twice": 0, "strange": 0, "refused": 0}, found
    assert tips >= {tip for fleet in fleets for tip in fleet.tips()}
    before = derived(world.context)
    rebuild.rebuild(world.context)
    after = derived(world.context)
    for table, rows in before.items():
        assert after[table] == rows, f"{table} is not what the logs say"
    return len(produced)


def strike_all(world: World, names: Iterable[str]) -> None:
    """One fault after the other, in that order; at the end something must have been derived."""
    random = Random(world.seed)  # noqa: S311 - repeatable, not secret
    for name in names:
        strike(world, name, random)
    assert derived(world.context)["service_session"], "the boxes said too little to prove anything"


def strike(world: World, name: str, random: Random) -> None:
    """One fault, and the verdict."""
    began = time.monotonic()
    print(f"{world.kind}, seed {world.seed}: {name} ...", end=" ", flush=True)  # noqa: T201 - shown when a test fails, and by the soak
    FAULTS[name](world, random)
    wait_until_delivered(world)
    print(f"{judge(world)} events, {time.monotonic() - began:.1f} s")  # noqa: T201 - as above


def _is_behind(world: World) -> bool:
    behind = select(StreamRow.device).where(
        (col(StreamRow.projected_through) < col(StreamRow.highest_seen))
        | col(StreamRow.must_refold)
    )
    with world.context.database.reading() as db:
        return db.exec(behind).first() is not None
