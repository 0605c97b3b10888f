"""The segments on the disk, one directory a camera; the oldest make room for the newest.

File names say all that the ring must know, so the directory is its own index, whole after any kill:
`BEGIN-END.segment` (milliseconds since 1970), and empty files in the same form for spans without
pictures, whose ending says why. Called from several threads.
"""

import re
import shutil
import threading
from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from event_protocol.evidence import Span, Unavailable
from event_protocol.names import to_milliseconds

_SEGMENT = "segment"
_REASONS = frozenset(Unavailable)
_NAME = re.compile(r"(\d{1,15})-(\d{1,15})\.([a-z_]+)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Spans without pictures that lie closer together are told as one.
_JOIN_WITHIN = timedelta(seconds=2)
# Empty files beyond these are of no use to anybody; a camera that fails every minute makes 1,440 a
# day.
_MOST_GAPS = 5000
# A clock that is wrong for a minute must not clear the ring; one segment comes every few seconds.
_MOST_AGED_AT_ONCE = 3


class RingFullError(OSError):
    """No room, and nothing may be deleted to make some."""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file: a segment, or (`reason`) a span without pictures."""

    begin: datetime
    end: datetime
    camera: str
    reason: Unavailable | None = field(default=None, compare=False)
    size: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """Its file's name."""
        kind = _SEGMENT if self.reason is None else self.reason
        return f"{_to_ms(self.begin)}-{_to_ms(self.end)}.{kind}"

    def overlaps(self, span: Span) -> bool:
        """Whether it has something of the span."""
        return self.begin <= span.end and span.begin < self.end


@dataclass(frozen=True, slots=True)
class RingLimits:
    """How much the ring may hold, and what it must leave free for outbox and database."""

    max_bytes: int
    keep: timedelta
    min_free_bytes: int


class Ring:
    """`write` puts a file on the disk whole or not at all (`OSError`); `free_bytes` measures."""

    def __init__(
        self,
        folder: Path,
        limits: RingLimits,
        write: Callable[[Path, bytes], None],
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._write = write
        self._free_bytes = free_bytes or (lambda: shutil.disk_usage(folder).free)
        self._lock = threading.RLock()
        self._held: dict[str, tuple[str, Span]] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for camera in filter(Path.is_dir, folder.iterdir()):
            _remove_leftovers(camera)
        entries = sorted(_scan(folder))
        self._segments = [entry for entry in entries if entry.reason is None]
        self._gaps = [entry for entry in entries if entry.reason is not None]
        self._size = sum(entry.size for entry in self._segments)

    # --- writing ---------------------------------------------------------------------------------

    def add(self, camera: str, begin: datetime, end: datetime, content: bytes) -> None:
        """Keep a segment; raises `OSError` (`RingFullError`) if there is no room for it."""
        entry = _entry(camera, begin, end, size=len(content))
        path = self._path(entry)
        with self._lock:
            self.make_room(end, entry.size)
            path.parent.mkdir(exist_ok=True, mode=0o700)
            try:
                self._write(path, content)
            except OSError:
                _remove_leftovers(path.parent)
                raise
            insort(self._segments, entry)
            self._size += entry.size

    def note_gap(self, camera: str, begin: datetime, end: datetime, reason: Unavailable) -> None:
        """Remember why a span has no pictures; raises `OSError`."""
        with self._lock:
            gap = _entry(camera, begin, end, reason)
            last = next(
                (g for g in reversed(self._gaps) if (g.camera, g.reason) == (camera, reason)), None
            )
            path = self._path(gap)
            path.parent.mkdir(exist_ok=True, mode=0o700)
            if last is not None and last.begin <= begin <= last.end + _JOIN_WITHIN:
                joined = replace(last, end=max(last.end, end))
                self._path(last).rename(self._path(joined))
                self._gaps.remove(last)
                insort(self._gaps, joined)
                return
            path.touch(mode=0o600)
            insort(self._gaps, gap)
            while len(self._gaps) > _MOST_GAPS:
                self._path(self._gaps.pop(0)).unlink(missing_ok=True)

    def make_room(self, now: datetime, size: int = 0) -> None:
        """Delete what is too old or too much, so that `size` bytes fit; raises `RingFullError`.

        Whatever is held stays, even if that means that nothing new can be kept.
        """
        with self._lock:
            oldest_wanted = now - self._limits.keep
            aged = 0
            while (number := self._oldest_deletable()) is not None:
                is_old = self._segments[number].end < oldest_wanted and aged < _MOST_AGED_AT_ONCE
                if not is_old and self._has_room(size):
                    return
                aged += is_old
                self._overwrite(number)
            if not self._has_room(size):
                raise RingFullError(f"no room for {size} bytes of evidence")

    def hold(self, name: str, camera: str, span: Span) -> None:
        """Nothing of the span is deleted until `release`."""
        with self._lock:
            self._held[name] = (camera, span)

    def release(self, name: str) -> None:
        """The span goes the way of all others again."""
        with self._lock:
            self._held.pop(name, None)

    # --- reading ---------------------------------------------------------------------------------

    def list_segments(self, camera: str, span: Span) -> list[Entry]:
        """The camera's segments that have something of the span, in order."""
        with self._lock:
            return [e for e in self._segments if e.camera == camera and e.overlaps(span)]

    def list_gaps(self, camera: str, span: Span) -> list[Entry]:
        """What is known of parts of the span without pictures, in order."""
        with self._lock:
            return [e for e in self._gaps if e.camera == camera and e.overlaps(span)]

    def read(self, entry: Entry, size: int = -1) -> bytes:
        """The file's content or its first bytes; raises `OSError`."""
        with self._path(entry).open("rb") as file:
            return file.read(size)

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        with self._lock:
            return self._size

    def _path(self, entry: Entry) -> Path:
        return self._folder / entry.camera / entry.name

    def _oldest_deletable(self) -> int | None:
        held = self._held.values()
        return next(
            (
                number
                for number, entry in enumerate(self._segments)
                if not any(camera == entry.camera and entry.overlaps(s) for camera, s in held)
            ),
            None,
        )

    def _has_room(self, size: int) -> bool:
        return (
            self._size + size <= self._limits.max_bytes
            and self._free_bytes() - size >= self._limits.min_free_bytes
        )

    def _overwrite(self, number: int) -> None:
        entry = self._segments.pop(number)
        self._size -= entry.size
        self._path(entry).unlink(missing_ok=True)
        self.note_gap(entry.camera, entry.begin, entry.end, Unavailable.OVERWRITTEN)


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much there is of one camera."""

    lasts: timedelta = timedelta(0)
    size: int = 0


def survey(folder: Path) -> dict[str, Holdings]:
    """What lies in a ring's folder, by camera; changes nothing, for another process may use it.

    Says nothing of single spans: one that lies there for longer than all others is being held.
    """
    held: dict[str, Holdings] = {}
    for entry in _scan(folder) if folder.exists() else ():
        if entry.reason is None:
            before = held.get(entry.camera, Holdings())
            lasts = before.lasts + entry.end - entry.begin
            held[entry.camera] = Holdings(lasts, before.size + entry.size)
    return held


def _entry(
    camera: str, begin: datetime, end: datetime, reason: Unavailable | None = None, size: int = 0
) -> Entry:
    """With times as a file's name can say them."""
    return Entry(to_milliseconds(begin), to_milliseconds(end), camera, reason, size)


def _scan(folder: Path) -> Iterator[Entry]:
    """What an earlier run left."""
    for camera in filter(Path.is_dir, folder.iterdir()):
        yield from filter(None, (_read_name(camera.name, path) for path in camera.iterdir()))


def _read_name(camera: str, path: Path) -> Entry | None:
    match = _NAME.fullmatch(path.name)
    if match is None or not (match[3] == _SEGMENT or match[3] in _REASONS):
        return None  # not ours
    reason = None if match[3] == _SEGMENT else Unavailable(match[3])
    begin, end = (_EPOCH + int(number) * _MILLISECOND for number in match.groups()[:2])
    try:
        return Entry(begin, end, camera, reason, path.stat().st_size)
    except FileNotFoundError:
        return None  # it has just been overwritten


def _remove_leftovers(camera: Path) -> None:
    """What a kill left half-written."""
    for path in camera.glob("*.new"):
        path.unlink(missing_ok=True)


def _to_ms(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND
