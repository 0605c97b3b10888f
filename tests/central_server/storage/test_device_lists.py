"""How far what pages show of a device's desks is behind, by its own word and by what is here."""

from datetime import timedelta
from pathlib import Path

from central_server.domain.permissions import UnitId, UnitScope
from central_server.services import ingest, projector, rule_sets
from central_server.storage import device_lists, registry
from central_server.storage.device_lists import Backlog
from central_server.storage.unit_of_work import Database
from tests.central_server.factories import START, EdgeChain, register_device
from tests.central_server.services.desk_days import make_server

SCOPE = UnitScope(frozenset({UnitId("unit-a")}))


def backlog(database: Database) -> Backlog:
    with database.reading() as db:
        (view,) = device_lists.list_devices(db, SCOPE)
    return view.backlog


def say_depth(database: Database, depth: int) -> None:
    with database.transaction() as db:
        registry.mark_telemetry(db, "device-a", {"outbox_depth": depth}, START)


def test_what_is_not_here_and_what_is_not_worked_through(
    any_database: Database, tmp_path: Path
) -> None:
    context = make_server(any_database, tmp_path)
    register_device(any_database)
    rule_sets.activate(context)
    assert backlog(any_database) == Backlog()
    first, second, third, _, fifth = EdgeChain().many(5)
    ingest.append(context, [first, second, fifth])
    assert backlog(any_database) == Backlog(missing=3, waiting=2)
    projector.project_devices(context, [("device-a", 1)])
    assert backlog(any_database) == Backlog(missing=3, shown_until=START + timedelta(seconds=2))
    say_depth(any_database, 40_000)
    assert backlog(any_database).missing == 40_000
    ingest.append(context, [third])
    say_depth(any_database, 0)
    assert (backlog(any_database).missing, backlog(any_database).waiting) == (2, 1)


def test_a_box_that_never_got_through_says_what_it_holds(
    database: Database, tmp_path: Path
) -> None:
    register_device(database)
    say_depth(database, 7)
    assert backlog(database) == Backlog(missing=7)
