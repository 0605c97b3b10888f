"""What only one of all processes may do at a time: the one that holds the turn.

Kept by the database (PostgreSQL) or by a file beside it (SQLite), which give it back by themselves
when the process or its connection ends.
"""

import fcntl
import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from central_server.storage.unit_of_work import Database


class TakenError(Exception):
    """Another process holds the turn."""


class OneOfAll:
    """The turn named `name`; as a context it is given back at the end. Any thread."""

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._name = database, name
        self._lock = threading.Lock()
        self._file: int | None = None
        self._connection: Connection | None = None

    def is_ours(self) -> bool:
        """Whether this process holds the turn, or gets it now."""
        with self._lock:
            return self._takes_file() if self._database.is_sqlite else self._takes_row()

    def require(self) -> None:
        """Raises `TakenError` if another holds it."""
        if not self.is_ours():
            raise TakenError(self._name)

    def if_ours(self, job: Callable[[], object]) -> Callable[[], None]:
        """That job, done only while the turn is ours."""

        def run() -> None:
            if self.is_ours():
                job()

        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
            if self._connection is not None:
                self._connection.invalidate()  # back in the pool it would go on holding it
                self._connection.close()
            self._file = self._connection = None

    def _takes_file(self) -> bool:
        if self._file is not None:
            return True
        beside = self._database.engine.url.database
        file = os.open(Path(f"{beside}.{self._name}"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def _takes_row(self) -> bool:
        """A lock of the session: it ends with the connection, which is kept for it alone."""
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
            except SQLAlchemyError:
                self._connection.invalidate()
                self._connection = None
            else:
                return True
        connection = self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        key = {"key": zlib.crc32(f"onestop {self._name}".encode())}
        if connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one():
            self._connection = connection
            return True
        connection.close()
        return False
