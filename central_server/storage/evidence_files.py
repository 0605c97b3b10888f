"""Pictures on disk: each finished file under its SHA-256, each upload in a file that only grows.

What an answer promised survives a power cut: files and folders are flushed before it is given.
Several processes may work on one folder.
"""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_OWNER_ONLY = 0o600
_READ_BYTES = 2**20
# EFBIG: a quota or ulimit is this program's full disk.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DiskFullError(Exception):
    """No room, or none that may be used: what has arrived is kept, trying again later helps."""


class WrongOffsetError(Exception):
    """The chunk does not begin where the file ends; `offset` is where it does."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """`reserve_bytes` of the disk stay free for the rest of the server."""

    folder: Path
    reserve_bytes: int

    def path_of(self, sha256: str) -> Path:
        """Where the finished file lies, or would."""
        return self.folder / "content" / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether it is here, whole."""
        return self.path_of(sha256).is_file()

    def list_finished(self) -> Iterator[Path]:
        """Every finished file."""
        return (path for path in sorted((self.folder / "content").glob("*/*")) if path.is_file())

    def offset_of(self, request_id: str, sha256: str) -> int:
        """How much of that upload has arrived, of its present content."""
        try:
            return self._part(request_id, sha256).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, request_id: str, sha256: str, offset: int, chunk: bytes) -> int:
        """The new offset; raises `WrongOffsetError` and `DiskFullError`, both change nothing."""
        part = self._part(request_id, sha256)
        self._make_folder(part.parent)
        if shutil.disk_usage(self.folder).free < self.reserve_bytes + len(chunk):
            raise DiskFullError
        with _locked(part) as descriptor:
            reached = os.fstat(descriptor).st_size
            if reached != offset:
                raise WrongOffsetError(reached)
            try:
                _write_all(descriptor, chunk, offset)
                os.fsync(descriptor)
            except OSError as error:
                os.ftruncate(descriptor, offset)
                if error.errno in _FULL:
                    raise DiskFullError from error
                raise
        if offset == 0:
            _flush_folder(part.parent)
        return offset + len(chunk)

    def inspect(self, request_id: str, sha256: str) -> tuple[str, bytes]:
        """SHA-256 of what has arrived, and its first bytes."""
        digest, head = hashlib.sha256(), b""
        with self._part(request_id, sha256).open("rb") as part:
            while block := part.read(_READ_BYTES):
                head = head or block[:16]
                digest.update(block)
        return digest.hexdigest(), head

    def keep(self, request_id: str, sha256: str) -> None:
        """The upload is whole: it gets its place under its hash; a second time changes nothing."""
        target = self.path_of(sha256)
        self._make_folder(target.parent)
        self._part(request_id, sha256).replace(target)
        _flush_folder(target.parent)

    def discard_parts(self, request_id: str, *, besides: str | None = None) -> None:
        """Drops what has arrived of a request's uploads, but for that one content."""
        for part in (self.folder / "incoming").glob(f"{request_id}.*"):
            if part.name != f"{request_id}.{besides}":
                part.unlink(missing_ok=True)

    def erase(self, sha256: str) -> None:
        """Removes a finished file; a second time changes nothing."""
        self.path_of(sha256).unlink(missing_ok=True)

    def _part(self, request_id: str, sha256: str) -> Path:
        return self.folder / "incoming" / f"{request_id}.{sha256}"

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            _flush_folder(folder.parent)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file for writing, made if need be; two requests for one upload take turns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, _OWNER_ONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
