"""The migrated schema is the one that tables.py says, on both databases."""

from concurrent.futures import ThreadPoolExecutor

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from central_server.storage import schema
from central_server.storage.unit_of_work import Database


def test_migrated_schema_is_what_tables_say(empty_database: Database) -> None:
    schema.migrate(empty_database)
    with empty_database.reading() as db:
        migrations = MigrationContext.configure(db.connection(), opts={"compare_type": True})
        assert compare_metadata(migrations, SQLModel.metadata) == []
        assert schema.is_current(db)


def test_an_empty_database_is_not_current(empty_database: Database) -> None:
    with empty_database.reading() as db:
        assert not schema.is_current(db)


def test_two_servers_may_start_at_once(empty_database: Database) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(schema.migrate, [empty_database, empty_database]))
    with empty_database.reading() as db:
        assert schema.is_current(db)
