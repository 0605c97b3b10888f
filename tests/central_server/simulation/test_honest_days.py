"""Simulated desks through the real intake and projector: honest ones raise next to no flag."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from central_server.domain.calendars import Calendar
from central_server.domain.rules import Severity
from central_server.services import ingest, projector, rule_sets
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.simulation import phones
from central_server.simulation.fleet import DeviceChain, SimulatedDevice, device_key
from central_server.simulation.habits import DISHONEST, HONEST, Habits
from central_server.simulation.visits import Span
from central_server.storage.tables import DeviceRow, FlagRow, SessionRow
from central_server.storage.unit_of_work import Database
from event_protocol.names import DeskId, DeviceId
from event_protocol.topics import Channel, topic_of
from tests.central_server.factories import Clock, make_context, register_device

FIRST_DAY = datetime(2026, 3, 1, 17, tzinfo=UTC)  # Monday at the desk
DAYS = 5
DESKS = tuple(DeskId(f"desk-{number}") for number in range(4))
BOX = DeviceId("box-1")


@pytest.fixture
def context(database: Database, tmp_path: Path, repository: Path) -> ServerContext:
    register_device(database, BOX, DESKS)
    rules = repository / "configs" / "flag_rules.yaml"
    return make_context(
        database, tmp_path, Clock(FIRST_DAY + timedelta(days=DAYS)), rules_file=rules
    )


def run_days(context: ServerContext, habits: Habits, seed: int) -> Calendar:
    """The fleet's days as the server takes them in; the desks' calendar."""
    calendar = rule_sets.activate(context).calendar("default")

    def opening_of(_desk: DeskId, day: date) -> list[Span]:
        return [Span(begin, end) for begin, end in calendar.day(day)]

    device = SimulatedDevice(BOX, tuple((desk, habits) for desk in DESKS))
    _pair(context, seed)
    chain = DeviceChain(device, seed, FIRST_DAY, context.keys.sealing_public)
    first = calendar.local_day(FIRST_DAY)
    topic = topic_of(BOX, Channel.EVENTS)
    for number in range(DAYS):
        day = chain.make_day(first + timedelta(days=number), opening_of)
        batch = [Incoming(topic, event.payload) for event in day]
        receipts = ingest.append(context, batch)
        projector.project_devices(context, {(name, one.epoch) for name, one in receipts})
        for phoned in chain.take_phoned(context.now()):
            phones.send(context, phoned)
    return calendar


def _pair(context: ServerContext, seed: int) -> None:
    with context.database.transaction() as db:
        row = db.get_one(DeviceRow, BOX)
        row.public_key = device_key(seed, BOX).public_key().public_bytes_raw().hex()
        row.paired_at = FIRST_DAY


def flags_of(context: ServerContext) -> list[FlagRow]:
    with context.database.reading() as db:
        return list(db.exec(select(FlagRow)))


@pytest.mark.parametrize("seed", [1, 2])
def test_an_honest_desk_has_at_most_one_small_flag_a_day(context: ServerContext, seed: int) -> None:
    calendar = run_days(context, HONEST, seed)
    flags = flags_of(context)
    a_day = Counter((flag.desk, calendar.local_day(flag.begin)) for flag in flags)
    assert a_day, "a fleet without a single flag would prove nothing"
    assert max(a_day.values()) == 1
    assert Severity.CRITICAL not in {flag.severity for flag in flags}
    with context.database.reading() as db:
        sessions = list(db.exec(select(SessionRow)))
    assert len(sessions) > 15 * len(DESKS) * DAYS
    assert sum(session.state == "uncertain" for session in sessions) < len(sessions) / 50


def test_a_dishonest_desk_shows_in_what_is_observed(context: ServerContext) -> None:
    run_days(context, DISHONEST, 1)
    flags = flags_of(context)
    rules = {flag.rule for flag in flags}
    assert {"officer_absent", "abandoned_session", "camera_tampered", "complaint"} <= rules
    assert any(flag.severity == Severity.CRITICAL for flag in flags)
    assert len(flags) > len(DESKS) * DAYS
