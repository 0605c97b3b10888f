"""Whatever way events take to the server, what is derived of them is the same, byte by byte.

A machine of states: devices' events arrive in any order, split, repeated, late; the projector runs
when it likes, is killed in the middle, is told to begin anew. At the end all has arrived, and the
tables equal those of a server that was told everything in order.
"""

import shutil
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from central_server.services import ingest, projector, rebuild, rule_sets, stream_projector
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.services.projection_run import Run
from central_server.storage.streams import Stream
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import register_device
from tests.central_server.services.desk_days import (
    DeskChain,
    busy_morning,
    deliver,
    derived,
    make_server,
)


class PowerCutError(Exception):
    """Stands for the end of the process: all that was not committed is gone."""


class Prepared:
    """A migrated database with two devices that have said nothing, what they will say, and what
    is derived of it when they say it in order.
    """

    def __init__(self, folder: Path, migrated_file: Path) -> None:
        self.folder, self.numbers = folder, count()
        shutil.copy(migrated_file, folder / "empty.sqlite")
        database = Database(f"sqlite:///{folder / 'empty.sqlite'}")
        context = make_server(database, folder)
        keys = [register_device(database), register_device(database, "device-b", ("desk-2",))]
        rule_sets.activate(context)
        self.messages = busy_morning(context, keys[0]).said
        other = DeskChain(context, "device-b", "desk-2", key=keys[1]).empty_desk()
        other.visit(5, 12, UUID(int=11)).rate(12.5, 1, reasons=("violence",))
        other.kept_waiting(20, 57, UUID(int=12)).starts(58).empty_desk(59)
        self.messages += other.said
        database.close()
        in_order = self.open("in_order")
        deliver(in_order, self.messages)
        self.expected = derived(in_order)
        in_order.database.close()

    def open(self, name: str) -> ServerContext:
        """A server of that name on a copy of the empty database."""
        file = self.folder / f"{name}.sqlite"
        shutil.copy(self.folder / "empty.sqlite", file)
        return make_server(Database(f"sqlite:///{file}"), self.folder)


class Arrival(RuleBasedStateMachine):
    """One story; `prepared` is what all of them tell."""

    prepared: ClassVar[Prepared]

    @initialize(random=st.randoms(use_true_random=False))
    def begin(self, random: Random) -> None:
        self.server = self.prepared.open(f"story-{next(self.prepared.numbers)}")
        self.under_way = list(self.prepared.messages)
        random.shuffle(self.under_way)
        self.arrived: list[Incoming] = []
        self.grown: set[Stream] = set()

    @precondition(lambda self: self.under_way)
    @rule(number=st.integers(1, 30))
    def arrive(self, number: int) -> None:
        """The next batch is committed; nobody has projected it yet."""
        self._append(self.under_way[:number])
        del self.under_way[:number]

    @precondition(lambda self: self.arrived)
    @rule(data=st.data())
    def arrive_again(self, data: st.DataObject) -> None:
        """A redelivery, a resend, a second worker."""
        self._append(data.draw(st.lists(st.sampled_from(self.arrived), max_size=20)))

    @precondition(lambda self: self.under_way)
    @rule(number=st.integers(1, 30))
    def be_late(self, number: int) -> None:
        """What would come next comes last."""
        self.under_way = self.under_way[number:] + self.under_way[:number]

    @rule()
    def project(self) -> None:
        projector.project_devices(self.server, self.grown)
        self.grown.clear()

    @rule()
    def project_and_die(self) -> None:
        """All is written, nothing committed."""
        original = stream_projector.project

        def dying(run: Run, positions: Any) -> list[Stream]:
            original(run, positions)
            raise PowerCutError

        stream_projector.project = dying
        try:
            if self.grown:
                with pytest.raises(PowerCutError):
                    projector.project_devices(self.server, self.grown)
        finally:
            stream_projector.project = original

    @rule()
    def start_again(self) -> None:
        """Another process; what it finds behind, it projects."""
        self.server.database.close()
        projector.project_behind(self.server)
        self.grown.clear()

    @rule()
    def begin_anew(self) -> None:
        rebuild.rebuild(self.server)
        self.grown.clear()

    def _append(self, messages: list[Incoming]) -> None:
        receipts = ingest.append(self.server, messages)
        self.grown |= {(device, receipt.epoch) for device, receipt in receipts}
        self.arrived += messages

    def teardown(self) -> None:
        if not hasattr(self, "server"):
            return
        self._append(self.under_way)
        self.project()
        assert derived(self.server) == self.prepared.expected
        rebuild.rebuild(self.server)
        assert derived(self.server) == self.prepared.expected
        self.server.database.close()


def test_any_way_of_arrival_derives_the_same(
    tmp_path_factory: pytest.TempPathFactory, migrated_file: Path
) -> None:
    Arrival.prepared = Prepared(tmp_path_factory.mktemp("arrivals"), migrated_file)
    machine = Arrival.TestCase
    machine.settings = settings(
        max_examples=8,
        stateful_step_count=12,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    machine("runTest").runTest()
