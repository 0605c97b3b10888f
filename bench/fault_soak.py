"""`python -m bench soak faults [SEED]`: worlds of real processes, struck at random without an end.
`… soak cluster [SEED]`: one of them, around three RabbitMQ nodes, struck so many times.

Each world has another broker, and its own seed, which is printed: `… soak faults SEED` begins with
that world again. Ends at the first fault that lost, doubled or changed anything, or with Ctrl-C.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from random import Random

from rich.console import Console

from tests.faults.injections import FAULTS, is_possible
from tests.faults.judge import strike
from tests.faults.shared_work import NODE_FAULTS
from tests.faults.storm import storm
from tests.faults.world import CLUSTER, KINDS, World
from tests.processes.postgresql import PostgreSQL

STRIKES = 20  # in one world; then the log is long enough to begin anew
BOXES, MOST_WORKERS = 8, 3
CLUSTER_STRIKES = 20  # besides each once


def soak_faults(console: Console, first_seed: int | None) -> int:
    """Strike until something is wrong; the exit code."""
    seed = int.from_bytes(os.urandom(4), "big") if first_seed is None else first_seed
    for number in count():
        console.print(f"world {number}: seed {seed + number}")
        try:
            strike_world(seed + number)
        except (AssertionError, TimeoutError) as error:
            console.print(f"[bold]{error}[/]\nagain: python -m bench soak faults {seed + number}")
            return 1
        except KeyboardInterrupt:
            return 0
    return 0


def strike_world(seed: int) -> None:
    """One world and its faults, as the seed tells."""
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    kind = KINDS[seed % len(KINDS)]
    workers = 0 if kind == "embedded" else random.randint(0, MOST_WORKERS)
    is_shared = kind == "RabbitMQ" and random.random() < 0.5
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onestop-faults-")))
        uses_postgresql = random.random() < 0.5
        postgresql = stack.enter_context(PostgreSQL()) if uses_postgresql else None
        world = World(
            folder / "world",
            kind,
            seed,
            boxes=BOXES,
            workers=workers,
            projectors=random.randint(1, 2) if is_shared and workers and uses_postgresql else 0,
            amqp=is_shared,
            postgresql=postgresql,
        )
        stack.enter_context(world)
        for name in _choose(random, world):
            strike(world, name, random)


def soak_cluster(console: Console, seed: int | None) -> int:
    """Any node, the leader and the publishers' are killed again and again; the exit code."""
    seed = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    console.print(f"cluster: seed {seed}")
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onestop-cluster-")))
        world = World(
            folder / "world",
            CLUSTER,
            seed,
            boxes=BOXES,
            workers=2,
            projectors=2,
            postgresql=stack.enter_context(PostgreSQL()),
        )
        stack.enter_context(world)
        try:
            for name in [*NODE_FAULTS, *random.choices(NODE_FAULTS, k=CLUSTER_STRIKES)]:
                strike(world, name, random)
        except (AssertionError, TimeoutError) as error:
            console.print(f"[bold]{error}[/]\nagain: python -m bench soak cluster {seed}")
            return 1
    return 0


def _choose(random: Random, world: World) -> Iterator[str]:
    possible = [name for name in FAULTS if is_possible(name, world)]
    for _ in range(STRIKES):
        yield random.choice(possible)


def soak_storm(console: Console) -> int:
    """3,000 boxes come back at once, over each broker that an installation starts with."""
    for kind in ("our Mosquitto", "embedded"):
        with tempfile.TemporaryDirectory(prefix="onestop-storm-") as folder:
            took_s = storm(
                Path(folder), kind, 1, boxes=3000, events=100, open_files=1024, within_s=450
            )
        console.print(f"{kind}: 3,000 boxes, 300,000 events, drained in {took_s:.0f} s")
    return 0
