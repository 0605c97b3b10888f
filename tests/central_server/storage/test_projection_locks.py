"""Several projectors at once: a device in somebody's hands is left alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlmodel import Session

from central_server.storage import projection, streams
from central_server.storage.unit_of_work import Database

ALL = [("device-a", 1), ("device-a", 2), ("device-b", 1)]


@pytest.fixture
def database(any_database: Database) -> Database:
    with any_database.transaction() as db:
        streams.open_heads(db, ALL)
    return any_database


@contextmanager
def holding(database: Database, stream: tuple[str, int]) -> Iterator[None]:
    with database.transaction() as db:
        assert len(projection.lock_streams(db, [stream])) == 1
        yield


def free(db: Session) -> list[tuple[str, int]]:
    return [(one.device, one.epoch) for one in projection.lock_free_streams(db, ALL)]


def test_nothing_is_held(database: Database) -> None:
    with database.transaction() as db:
        assert free(db) == ALL
        assert [one.epoch for one in projection.lock_free_streams(db, ALL[1:2])] == [2]


def test_a_device_of_which_one_stream_is_held_is_left_alone(database: Database) -> None:
    if database.is_sqlite:
        return  # one writer at a time: nobody holds anything
    with holding(database, ("device-a", 1)), database.transaction() as db:
        assert free(db) == [("device-b", 1)]
        assert projection.lock_free_streams(db, ALL[1:2]) == []
