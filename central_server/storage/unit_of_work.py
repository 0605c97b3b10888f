"""One transaction for each message, request or batch; it commits at its end or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, create_engine

from central_server.storage.turns import Turns

# A writer waits this long for another before it reports "database is locked" (measured commits of
# a full batch take well below 100 ms on a slow disk).
BUSY_TIMEOUT_MS = 10_000


class Database:
    """The engine of SQLite or PostgreSQL; may be used by several threads, sessions may not."""

    def __init__(self, url: str) -> None:
        self.engine = _make_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        file = self.engine.url.database if self.is_sqlite else None
        self._turns = Turns(Path(file)) if file else None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A writing transaction, whole or not at all; on SQLite the only one at its time.

        One inside another of the same thread would wait for itself. Raises `OperationalError` if
        another writer does not end.
        """
        with self._taking_turns(), Session(self.engine, expire_on_commit=False) as session:
            if self.is_sqlite:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent view; what was read stays readable after it, what was changed is dropped."""
        with Session(self.engine, expire_on_commit=False) as session:
            if self.is_sqlite:
                session.connection().exec_driver_sql("BEGIN")
            try:
                yield session
            finally:
                session.expunge_all()  # a rollback would make rows forget what they hold
                session.rollback()

    @contextmanager
    def _taking_turns(self) -> Iterator[None]:
        if self._turns is None:
            yield
            return
        with ExitStack() as turn:
            try:
                turn.enter_context(self._turns.taken(BUSY_TIMEOUT_MS / 1000))
            except (TimeoutError, OSError) as error:
                # As SQLite itself says it of another's writer: callers need know one error.
                says = "database is locked" if isinstance(error, TimeoutError) else str(error)
                refusal = sqlite3.OperationalError(says)
                raise OperationalError("BEGIN IMMEDIATE", None, refusal) from error
            yield

    def close(self) -> None:
        """Gives all connections back."""
        self.engine.dispose()
        if self._turns is not None:
            self._turns.close()


def _make_engine(url: str) -> Engine:
    # An error's text goes into logs, and its parameters may be a citizen's words.
    engine = create_engine(
        url, hide_parameters=True, json_serializer=_to_json, json_deserializer=orjson.loads
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions on its own: `transaction` says BEGIN IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        # An event's row is near a kilobyte. With large pages, a cache that holds the pages in use
        # and a write-back every 32 MB, a batch takes a quarter less than with SQLite's own values.
        "page_size=16384",  # of a new file; an older one keeps its own
        "cache_size=-16384",  # KiB, for each connection, as it is needed
        "wal_autocheckpoint=2000",  # pages
        "journal_mode=WAL",
        "synchronous=FULL",  # a commit survives a power cut: receipts promise it
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
