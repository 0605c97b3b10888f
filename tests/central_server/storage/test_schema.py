"""The migrated schema is the one that tables.py says, on both databases."""

from concurrent.futures import ThreadPoolExecutor

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from central_server.storage import months, schema
from central_server.storage.unit_of_work import Database


def test_migrated_schema_is_what_tables_say(empty_database: Database) -> None:
    schema.migrate(empty_database)
    with empty_database.reading() as db:
        options = {
            "compare_type": True,
            "include_name": lambda name, kind, _: not months.is_part_of_log(name, kind),
        }
        migrations = MigrationContext.configure(db.connection(), opts=options)
        differing = compare_metadata(migrations, SQLModel.metadata)
    # On PostgreSQL each month's part has that index of its own.
    by_parts = [] if empty_database.is_sqlite else [("add_constraint", "uq_event_source_id")]
    assert [(one[0], one[1].name) for one in differing] == by_parts
    with empty_database.reading() as db:
        assert schema.is_current(db)


def test_an_empty_database_is_not_current(empty_database: Database) -> None:
    with empty_database.reading() as db:
        assert not schema.is_current(db)


def test_two_servers_may_start_at_once(empty_database: Database) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(schema.migrate, [empty_database, empty_database]))
    with empty_database.reading() as db:
        assert schema.is_current(db)
