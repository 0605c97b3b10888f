"""The server's log is one chain, whatever the database and whoever writes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from central_server.domain.server_log import (
    DeviceFellSilent,
    FeedbackReceived,
    LoggedEntry,
    entry_bytes,
    entry_hash,
)
from central_server.storage import server_log
from central_server.storage.unit_of_work import Database
from event_protocol.events import FeedbackChannel
from event_protocol.names import NO_HASH

AT = datetime(2026, 3, 2, 8, 7, 30, 123_456, tzinfo=UTC)


def silent(device: str) -> DeviceFellSilent:
    return DeviceFellSilent(device=device, since=AT)


def read_all(database: Database) -> list[LoggedEntry]:
    with database.reading() as db:
        return list(server_log.read_after(db, 0))


def test_entries_are_chained_and_read_back(any_database: Database) -> None:
    with any_database.transaction() as db:
        first = server_log.append(db, silent("a"), at=AT)
        second = server_log.append(db, silent("b"), at=AT, sealed="key:box")
    assert read_all(any_database) == [first, second]
    assert [first.sequence, second.sequence] == [1, 2]
    assert first.prevhash == NO_HASH
    assert second.prevhash == entry_hash(entry_bytes(first))
    assert second.sealed == "key:box"
    with any_database.reading() as db:
        assert list(server_log.read_after(db, 1)) == [second]
        assert server_log.find(db, 2) == second
        assert server_log.find(db, 3) is None


def test_feedback_shows_only_its_quarter_hour(database: Database) -> None:
    entry = FeedbackReceived(
        feedback_id=uuid4(), channel=FeedbackChannel.PHONE, unit_id="u", digest=NO_HASH
    )
    with database.transaction() as db:
        logged = server_log.append(db, entry, at=AT)
    assert logged.time == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    assert read_all(database) == [logged]


def test_what_is_rolled_back_leaves_no_hole(database: Database) -> None:
    def write_and_fail() -> None:
        with database.transaction() as db:
            server_log.append(db, silent("a"), at=AT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with database.transaction() as db:
        assert server_log.append(db, silent("b"), at=AT).sequence == 1


def test_many_writers_make_one_chain(any_database: Database) -> None:

    def write(number: int) -> None:
        with any_database.transaction() as db:
            server_log.append(db, silent(f"device-{number}"), at=AT)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(20)))
    entries = read_all(any_database)
    assert [entry.sequence for entry in entries] == list(range(1, 21))
    hashes = [NO_HASH, *(entry_hash(entry_bytes(entry)) for entry in entries)]
    assert [entry.prevhash for entry in entries] == hashes[:-1]
