"""Databases for the server's tests: a fresh SQLite file, or a real PostgreSQL."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from central_server.storage import schema
from central_server.storage.unit_of_work import Database
from tests.processes.postgresql import PostgreSQL

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One running PostgreSQL; each test takes a database of its own from it."""
    with PostgreSQL() as running:
        yield running


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: faster than going through the schema's steps each time."""
    path = tmp_path_factory.mktemp("migrated") / "server.sqlite"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_template(postgresql: PostgreSQL) -> str:
    """The name of a migrated PostgreSQL database to copy."""
    url = postgresql.new_database()
    _migrate(url)
    return url.rpartition("/")[2]


@pytest.fixture
def database(tmp_path: Path, migrated_file: Path) -> Iterator[Database]:
    """A migrated SQLite database."""
    path = tmp_path / "server.sqlite"
    shutil.copy(migrated_file, path)
    yield from _opened(f"sqlite:///{path}")


@pytest.fixture
def postgresql_database(postgresql: PostgreSQL, migrated_template: str) -> Iterator[Database]:
    """A migrated PostgreSQL database."""
    yield from _opened(postgresql.new_database(migrated_template))


@pytest.fixture(params=KINDS)
def any_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated database of each kind that the server runs on."""
    if request.param == "sqlite":
        yield request.getfixturevalue("database")
        return
    yield request.getfixturevalue("postgresql_database")


@pytest.fixture(params=KINDS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind before the schema's first step."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'empty.sqlite'}"
    else:
        running: PostgreSQL = request.getfixturevalue("postgresql")
        url = running.new_database()
    yield from _opened(url)


def _opened(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def _migrate(url: str) -> None:
    for database in _opened(url):
        schema.migrate(database)
