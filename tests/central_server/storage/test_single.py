"""A turn that one process has at a time, on each kind of database."""

from pathlib import Path

import pytest

from central_server.storage.single import OneOfAll, TakenError
from central_server.storage.unit_of_work import Database


def test_one_has_it_until_it_ends(any_database: Database) -> None:
    other_process = Database(any_database.engine.url.render_as_string(hide_password=False))
    with OneOfAll(other_process, "timers") as second:
        with OneOfAll(any_database, "timers") as first:
            assert first.is_ours()
            assert first.is_ours()
            assert not second.is_ours()
            with pytest.raises(TakenError):
                second.require()
            with OneOfAll(other_process, "projector") as another:
                assert another.is_ours()
        assert second.is_ours()
    other_process.close()


def test_what_is_not_ours_is_not_done(any_database: Database) -> None:
    done: list[str] = []
    with OneOfAll(any_database, "timers") as first:
        first.if_ours(lambda: done.append("first"))()
        with OneOfAll(any_database, "timers") as second:
            second.if_ours(lambda: done.append("second"))()
    assert done == ["first"]


def test_a_connection_that_broke_gives_it_back(any_database: Database, tmp_path: Path) -> None:
    """PostgreSQL was restarted: who asks first has it then, also the one that had it."""
    if any_database.is_sqlite:
        return  # a file has no connection
    with OneOfAll(any_database, "timers") as turn:
        assert turn.is_ours()
        with any_database.engine.connect() as db:
            db.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        assert turn.is_ours()
