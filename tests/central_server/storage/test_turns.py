"""Threads and processes that write into one SQLite file: each gets its turn, the dead hold none."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from central_server.storage import unit_of_work
from central_server.storage.unit_of_work import Database

HELD_S = 0.02
NEW_PROCESS = multiprocessing.get_context("spawn")


def write_on_and_on(url: str, has_begun: Event) -> None:
    database = Database(url)
    while True:
        with database.transaction() as db:
            db.connection().exec_driver_sql("UPDATE counted SET transactions = transactions + 1")
            time.sleep(HELD_S)
        has_begun.set()


def hold(url: str, has_begun: Event) -> None:
    with Database(url).transaction():
        has_begun.set()
        time.sleep(60)


@contextmanager
def other_process(work: Callable[[str, Event], None], database: Database) -> Iterator[None]:
    has_begun = NEW_PROCESS.Event()
    url = database.engine.url.render_as_string()
    process = NEW_PROCESS.Process(target=work, args=(url, has_begun))
    process.start()
    try:
        assert has_begun.wait(30)
        yield
    finally:
        process.kill()
        process.join()


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'server.sqlite'}")
    with database.transaction() as db:
        db.connection().exec_driver_sql("CREATE TABLE counted (transactions INTEGER)")
        db.connection().exec_driver_sql("INSERT INTO counted VALUES (0)")
    yield database
    database.close()


def count(database: Database) -> int:
    with database.reading() as db:
        return int(db.connection().exec_driver_sql("SELECT * FROM counted").scalar_one())


def test_who_writes_all_the_time_lets_another_process_in(counting: Database) -> None:
    """After the transaction under way, and one that was asked for just before."""
    with other_process(write_on_and_on, counting):
        passed = []
        for _ in range(20):
            before = count(counting)
            with counting.transaction() as db:
                row = db.connection().exec_driver_sql("SELECT transactions FROM counted")
                passed.append(row.scalar_one() - before)
    assert max(passed) <= 2
    assert sum(passed) > 0, "nobody was in the way"


def test_another_process_that_does_not_end_is_told_of(
    counting: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_of_work, "BUSY_TIMEOUT_MS", 100)
    with (
        other_process(hold, counting),
        pytest.raises(OperationalError, match="database is locked"),
        counting.transaction(),
    ):
        pass


def test_what_a_killed_process_held_is_free(counting: Database) -> None:
    with other_process(hold, counting):
        pass
    with counting.transaction() as db:
        db.connection().exec_driver_sql("UPDATE counted SET transactions = 1")
    assert count(counting) == 1


def test_files_that_cannot_be_made_are_told_of(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'nowhere' / 'server.sqlite'}")
    with pytest.raises(OperationalError, match="No such file"), database.transaction():
        pass
