"""Each step of the schema takes a database that holds something with it, and back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, insert, select

from central_server.storage import months, schema
from central_server.storage.unit_of_work import Database

STEPS = [step.revision for step in ScriptDirectory(str(schema.MIGRATIONS)).walk_revisions()][::-1]
ROWS = 3
AT = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
# Steps that say of themselves that these rows do not outlive them.
EMPTIED = {("0003", "login")}


def go_to(database: Database, step: str, *, down: bool = False) -> None:
    with database.transaction() as db:
        move = command.downgrade if down else command.upgrade
        move(schema.alembic_config(db), step)


def tables_of(connection: Connection) -> dict[str, Table]:
    known = MetaData()
    known.reflect(connection, only=lambda name, _: not months.is_part_of_log(name, "table"))
    return {name: table for name, table in known.tables.items() if name != "alembic_version"}


def fill(connection: Connection) -> None:
    """A few rows in every table, a value in every column, in two months."""
    for table in tables_of(connection).values():
        for number in range(1, ROWS + 1):
            row = {column.name: value(column, number) for column in table.columns}
            connection.execute(insert(table), row)


def value(column: "sa.Column[Any]", number: int) -> object:
    kind = column.type
    if isinstance(kind, sa.DateTime):
        # Reflected, SQLite's columns know no time zone.
        at = AT + timedelta(hours=number - 1)
        return at if kind.timezone else at.replace(tzinfo=None)
    if isinstance(kind, sa.Date):
        return date(2026, 3, number)
    if isinstance(kind, sa.JSON):
        return {"number": number}
    if isinstance(kind, sa.Boolean):
        return number == 1
    if isinstance(kind, sa.LargeBinary):
        return bytes([0, number, 255])
    if isinstance(kind, sa.Integer | sa.Float | sa.Numeric):
        return number
    return f"{number}-{'ă' * 6}"


def contents(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    return {
        name: sorted((dict(row) for row in connection.execute(select(table)).mappings()), key=repr)
        for name, table in tables_of(connection).items()
    }


def steps_between(first: str, last: str) -> Iterator[str]:
    return iter(STEPS[STEPS.index(first) + 1 : STEPS.index(last) + 1])


@pytest.mark.parametrize("step", STEPS[:-1])
def test_what_a_database_holds_is_there_after_all_later_steps(
    empty_database: Database, step: str
) -> None:
    go_to(empty_database, step)
    with empty_database.transaction() as db:
        fill(db.connection())
        before = contents(db.connection())
    schema.migrate(empty_database)
    with empty_database.reading() as db:
        after = contents(db.connection())
    emptied = {name for one, name in EMPTIED if one in steps_between(step, STEPS[-1])}
    for name, rows in before.items():
        assert len(after[name]) == (0 if name in emptied else ROWS), name
        for was, row in zip(rows, after[name], strict=name not in emptied):
            shared = was.keys() & row.keys()
            assert {one: row[one] for one in shared} == {one: was[one] for one in shared}, name


def test_the_last_step_can_be_taken_back(empty_database: Database) -> None:
    go_to(empty_database, STEPS[-2])
    with empty_database.transaction() as db:
        fill(db.connection())
        before = contents(db.connection())
    go_to(empty_database, STEPS[-1])
    go_to(empty_database, STEPS[-2], down=True)
    with empty_database.reading() as db:
        assert contents(db.connection()) == before


def test_events_go_into_their_months(empty_database: Database) -> None:
    go_to(empty_database, "0003")
    newest = "01900000-0000-7000-8000-00000000000b"
    with empty_database.transaction() as db:
        connection = db.connection()
        fill(connection)
        tables = tables_of(connection)
        event = {column.name: value(column, 1) for column in tables["event"].columns}
        for sequence, name in ((8, newest), (9, newest.replace("b", "a")), (10, "f" * 36)):
            row = {**event, "sequence": sequence, "event_id": name}
            connection.execute(insert(tables["event"]), row)
    schema.migrate(empty_database)
    with empty_database.reading() as db:
        connection = db.connection()
        stream = tables_of(connection)["stream"]
        [(device, said)] = connection.execute(
            select(stream.c.device, stream.c.newest_id).where(stream.c.newest_id.is_not(None))
        ).all()
        assert (device, said) == (event["device"], newest)
        if not empty_database.is_sqlite:
            there = [f"{month:%Y-%m}" for month in months.list_months(connection)]
            assert there == ["2026-03", "2026-04"]
