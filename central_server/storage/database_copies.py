"""A database to files and back, while others write to it: SQLite's own copy, or PostgreSQL's COPY.

What is copied is one state of the whole; writers go on meanwhile.
"""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic import command
from psycopg import sql
from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url
from sqlmodel import Session

from central_server.storage import months, schema
from central_server.storage.private_files import (
    create_private,
    flush_file,
    make_private_folder,
    write_private,
)
from central_server.storage.unit_of_work import Database

_FILE = "database.sqlite"
_TABLES = "tables"
_MONTHS = "event.months"
_READ_BYTES = 2**20
# SELECT, for COPY of a partitioned table itself gives nothing.
_COPY_OUT = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT")
_COPY_IN = sql.SQL("COPY {} FROM STDIN")

Told = Callable[[str], None]  # which part is at work


def sqlite_file(address: str) -> Path | None:
    """The file behind an SQLite address; `None` for any other database."""
    url = make_url(address)
    return Path(url.database) if url.drivername == "sqlite" and url.database else None


def is_empty(database: Database) -> bool:
    """Whether nothing was ever put there."""
    return not inspect(database.engine).get_table_names()


def dump(database: Database, folder: Path, tell: Told) -> None:
    """Copies all of it into `folder`, which is there and empty."""
    if database.is_sqlite:
        _dump_sqlite(database, folder / _FILE, tell)
    else:
        _dump_postgresql(database, folder / _TABLES, tell)


def load(database: Database, folder: Path, revision: str, tell: Told) -> None:
    """Puts a copy that stood at that step of the schema into an empty database, whole or not."""
    if database.is_sqlite:
        _load_sqlite(database, folder / _FILE, tell)
    else:
        _load_postgresql(database, folder / _TABLES, revision, tell)


def _dump_sqlite(database: Database, target: Path, tell: Told) -> None:
    tell(_FILE)
    create_private(target).close()
    with database.engine.connect() as connection, closing(sqlite3.connect(target)) as copy:
        source: Any = connection.connection.driver_connection
        # All pages in one step: one snapshot of the write-ahead log, which no writer waits for.
        source.backup(copy, pages=-1)
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the copy is broken: {verdict}")
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without companions
    flush_file(target)


def _load_sqlite(database: Database, source: Path, tell: Told) -> None:
    """Under its name only once it is whole: interrupted, there is no database yet."""
    tell(_FILE)
    target = Path(str(database.engine.url.database))
    make_private_folder(target.parent)
    temporary = target.with_name(f"{target.name}.restoring")
    temporary.unlink(missing_ok=True)
    with source.open("rb") as read, create_private(temporary) as written:
        shutil.copyfileobj(read, written, _READ_BYTES)
    flush_file(temporary)
    temporary.rename(target)
    flush_file(target.parent)


def _dump_postgresql(database: Database, folder: Path, tell: Told) -> None:
    make_private_folder(folder)
    engine = database.engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.begin() as connection:
        driver: Any = connection.connection.driver_connection
        connection.execute(text("SET TRANSACTION READ ONLY"))
        begins = [begin.isoformat() for begin in months.list_months(connection)]
        write_private(folder / _MONTHS, "\n".join(begins).encode())
        for table in _list_tables(connection):
            tell(table)
            path = folder / f"{table}.copy"
            with (
                create_private(path) as target,
                driver.cursor() as cursor,
                cursor.copy(_COPY_OUT.format(sql.Identifier(table))) as rows,
            ):
                for block in rows:
                    target.write(block)
            flush_file(path)


def _load_postgresql(database: Database, folder: Path, revision: str, tell: Told) -> None:
    with database.transaction() as db:
        command.upgrade(schema.alembic_config(db), revision)
        driver: Any = db.connection().connection.driver_connection
        _make_months(db.connection(), folder / _MONTHS)
        for table in _list_tables(db.connection()):
            tell(table)
            with (
                (folder / f"{table}.copy").open("rb") as source,
                driver.cursor() as cursor,
                cursor.copy(_COPY_IN.format(sql.Identifier(table))) as rows,
            ):
                while block := source.read(_READ_BYTES):
                    rows.write(block)
        _set_counters(db)


def _make_months(connection: Any, path: Path) -> None:
    """First, so that each row goes where it belongs; older backups know of no months."""
    if path.exists():
        begins = path.read_text(encoding="utf-8").split()
        months.make_parts(connection, [datetime.fromisoformat(begin) for begin in begins])


def _list_tables(connection: Any) -> list[str]:
    """All but the parts of partitioned ones and what Alembic keeps."""
    found = connection.execute(
        text(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'"
            " ORDER BY relname"
        )
    )
    return [name for (name,) in found]


def _set_counters(db: Session) -> None:
    """COPY brings numbers; what counts them on must stand behind the highest."""
    for table, column in _list_counted(db):
        highest = f'(SELECT coalesce(max("{column}"), 0) + 1 FROM "{table}")'  # noqa: S608 - the schema's own names
        statement = f"SELECT setval(pg_get_serial_sequence(:table, :column), {highest}, false)"
        db.connection().execute(text(statement), {"table": f'"{table}"', "column": column})


def _list_counted(db: Session) -> list[tuple[str, str]]:
    """Tables and their columns that number themselves."""
    found = db.connection().execute(
        text(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_default LIKE 'nextval(%'"
        )
    )
    return [(table, column) for table, column in found]
