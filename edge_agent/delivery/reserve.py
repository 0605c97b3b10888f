"""Room on the disk that is set aside for what citizens say: others may have all the rest.

A file without meaning, as large as the room. Who gives it up can write though the disk is full.
"""

import os
from pathlib import Path

FILE_NAME = "outbox.reserve"
# About a thousand ratings: 1 to 5 KB each, and SQLite's journal of up to 4 MB beside them.
SIZE = 8 * 1024 * 1024


class Reserve:
    """Held or given up; the outbox calls it under its own lock."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self._path = folder / FILE_NAME
        self._size = size

    def hold(self) -> bool:
        """Take the room, if there is as much; whether it is held now."""
        if self._path.exists():
            return True
        beside = self._path.with_name(FILE_NAME + ".new")
        try:
            with beside.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size)
            beside.rename(self._path)
        except OSError:
            beside.unlink(missing_ok=True)
            return False
        return True

    def give_up(self) -> bool:
        """Free the room; whether there was any to free."""
        if not self._path.exists():
            return False
        self._path.unlink()
        return True
