"""Databases for the server's tests: a fresh SQLite file, or a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from central_server.storage import schema
from central_server.storage.unit_of_work import Database
from tests.processes.postgresql import PostgreSQL


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One running PostgreSQL; each test takes a database of its own from it."""
    with PostgreSQL() as running:
        yield running


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A migrated SQLite database."""
    opened = Database(f"sqlite:///{tmp_path / 'server.sqlite'}")
    schema.migrate(opened)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind that the server runs on."""
    if request.param == "sqlite":
        opened = Database(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    else:
        running: PostgreSQL = request.getfixturevalue("postgresql")
        opened = Database(running.new_database())
    yield opened
    opened.close()
