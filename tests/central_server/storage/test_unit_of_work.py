"""Writers take turns for a limited time, and errors hold nothing of what was written."""

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from central_server.storage import unit_of_work
from central_server.storage.unit_of_work import Database


def test_a_stuck_writer_holds_up_others_for_a_limited_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_of_work, "BUSY_TIMEOUT_MS", 50)
    is_writing, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with database.transaction():
            is_writing.set()
            may_end.wait(10)

    stuck = threading.Thread(target=write)
    stuck.start()
    assert is_writing.wait(10)
    with pytest.raises(OperationalError, match="database is locked"), database.transaction():
        pass
    may_end.set()
    stuck.join()
    with database.transaction() as db:
        assert db.connection().execute(text("SELECT 1")).scalar() == 1


def test_an_error_does_not_tell_what_was_to_be_written(any_database: Database) -> None:
    statement = text("INSERT INTO feedback (no_such_column) VALUES (:words)")
    with pytest.raises(SQLAlchemyError) as caught, any_database.transaction() as db:
        db.connection().execute(statement, {"words": "they asked me for money"})
    assert "money" not in str(caught.value)
