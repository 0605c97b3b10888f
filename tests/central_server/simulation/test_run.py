"""A simulated fleet over a real broker into the real intake: registered, told, and told again."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlmodel import col, func, select

from central_server.mqtt.broker import EmbeddedBroker, free_port
from central_server.mqtt.ingest_service import IngestService
from central_server.mqtt.log_writer import LogWriter
from central_server.services import broker_accounts, projector
from central_server.services.context import ServerContext
from central_server.simulation.publisher import FleetError
from central_server.simulation.run import Plan, simulate
from central_server.storage.tables import DeskRow, EventRow, FeedbackRow, SessionRow, StreamRow
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import Clock, make_context
from tests.processes.ports import wait_until

PLAN = Plan(desks=3, days=1, seed=1, first_day=date(2026, 3, 2), dishonest=1)
NOW = datetime(2026, 3, 4, tzinfo=UTC)

pytestmark = pytest.mark.processes


@pytest.fixture
def context(database: Database, tmp_path: Path, repository: Path) -> Iterator[ServerContext]:
    """A server with its broker and its intake, whose clock stands still."""
    broker = {"port": free_port("127.0.0.1"), "embedded": True}
    rules = repository / "configs" / "flag_rules.yaml"
    made = make_context(database, tmp_path, Clock(NOW), broker=broker, rules_file=rules)
    passwords = broker_accounts.write_password_file(made)
    settings = made.settings.broker
    embedded = EmbeddedBroker(settings.host, settings.port, passwords, settings.username)
    intake = IngestService(made, LogWriter(made, partial(projector.project_devices, made)))
    embedded.start()
    intake.start()
    wait_until(lambda: intake.is_linked, what="intake linked")
    yield made
    intake.stop()
    embedded.stop()


def run(context: ServerContext, plan: Plan = PLAN) -> str:
    """Let the fleet speak; what the console showed."""
    shown = StringIO()
    simulate(context, plan, Console(file=shown), threading.Event())
    return shown.getvalue()


def counts(context: ServerContext) -> tuple[int, ...]:
    """Events, sessions and feedback, once all that was received is projected."""

    def is_projected() -> bool:
        with context.database.reading() as db:
            behind = select(StreamRow).where(
                col(StreamRow.projected_through) < col(StreamRow.highest_seen)
            )
            return db.exec(behind).first() is None

    wait_until(is_projected, 30, "everything projected")
    with context.database.reading() as db:
        tables = (EventRow, SessionRow, FeedbackRow)
        return tuple(db.exec(select(func.count()).select_from(table)).one() for table in tables)


def test_a_fleet_is_registered_and_told_once(context: ServerContext) -> None:
    assert "100%" in run(context)
    first = counts(context)
    assert all(first)
    with context.database.reading() as db:
        assert len(list(db.exec(select(DeskRow)))) == PLAN.desks
    run(context)
    assert counts(context) == first


def test_another_seed_into_the_same_server_is_refused(context: ServerContext) -> None:
    run(context)
    with pytest.raises(FleetError, match="other events"):
        run(context, replace(PLAN, seed=2))
