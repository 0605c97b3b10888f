"""Verifies an exported log with nothing but the file and public keys: no database, no server.

`python -m event_protocol.verify_export FILE [--key HEX] [--head FILE]`. Reads line by line; needs
no more memory for a long log than for a short one. Exit code 0: the log is what was written, 1: it
is not, and each record that deviates is named; 2: the file can't be read.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydantic import ValidationError

from event_protocol.device_chains import Deviation
from event_protocol.log_records import (
    LINE,
    ExportBegins,
    ExportEnds,
    LogRecord,
    is_end_signed,
    write_line,
)
from event_protocol.log_verifier import UNKNOWN_KEY, LogVerifier
from event_protocol.server_heads import SignedHead

DEVIATES, UNREADABLE = 1, 2
EXPORT = "export"
NOT_AS_EXPORTED = "the file is not what was exported"
# The longest honest line names a thousand epochs' heads (150 KB), or a set of rules.
MAX_LINE_BYTES = 2**24
_KEY = re.compile(r"[0-9a-f]{64}")


def verify_export(
    file: BinaryIO, trusted: Collection[str], heads: Iterable[SignedHead] = ()
) -> Iterator[Deviation]:
    """Every deviation, as its line is read. With no `trusted` key the file's own is believed."""
    export = _Export(trusted, heads)
    number = 0
    while line := file.readline(MAX_LINE_BYTES):
        number += 1
        yield from export.take(number, line)
    yield from export.end(number)


class _Export:
    """The file around the records: its first line, its last one, and the digest over all of it."""

    def __init__(self, trusted: Collection[str], heads: Iterable[SignedHead]) -> None:
        self._trusted, self._heads = set(trusted), list(heads)
        self._begins: ExportBegins | None = None
        self._ends: ExportEnds | None = None
        self._verifier = LogVerifier(self._trusted, self._heads)
        self._digest = hashlib.sha256()

    def take(self, number: int, line: bytes) -> Iterator[Deviation]:
        """One line, whatever it is."""
        if self._ends is not None:
            yield Deviation(EXPORT, number, "stands behind the end")
            return
        record = _read_line(line)
        if isinstance(record, ExportEnds):
            self._ends = record
            yield from self._check_end(number, record)
            return
        self._digest.update(line)
        if record is None:
            yield Deviation(EXPORT, number, "is not a record")
        elif isinstance(record, ExportBegins):
            yield from self._begin(number, record)
        else:
            yield from self._verifier.take(record)

    def end(self, lines: int) -> Iterator[Deviation]:
        """What shows only now."""
        yield from self._verifier.end()
        begins = self._begins
        if begins is None:
            yield Deviation(EXPORT, 1, "the beginning is missing")
        elif not self._verifier.trusts(begins.key):
            yield Deviation(EXPORT, 1, UNKNOWN_KEY)
        if self._ends is None:
            yield Deviation(EXPORT, lines + 1, "the end is missing: the file was cut")

    def _begin(self, number: int, begins: ExportBegins) -> Iterator[Deviation]:
        if number != 1 or self._begins is not None:
            yield Deviation(EXPORT, number, "begins a second time")
            return
        self._begins = begins
        if not self._trusted:
            self._verifier = LogVerifier({begins.key}, self._heads)

    def _check_end(self, number: int, ends: ExportEnds) -> Iterator[Deviation]:
        if self._begins is None or not _is_key(self._begins.key):
            return  # named at the end
        if (ends.lines, ends.sha256) != (number - 1, self._digest.hexdigest()):
            yield Deviation(EXPORT, number, NOT_AS_EXPORTED)
        elif not is_end_signed(ends, bytes.fromhex(self._begins.key)):
            yield Deviation(EXPORT, number, "the end is not signed by the server")


def _read_line(line: bytes) -> ExportBegins | LogRecord | ExportEnds | None:
    try:
        record = LINE.validate_json(line)
    except ValidationError:
        return None
    # A line has one spelling: what says the same in another was not written by the server.
    return record if write_line(record) == line else None


def _is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


class _Wanted(NamedTuple):
    file: Path
    keys: list[str]
    heads: list[Path]


def _read_arguments(arguments: Sequence[str] | None) -> _Wanted:
    parser = argparse.ArgumentParser(description="Verify an exported log.")
    parser.add_argument("file", type=Path, help="what `central-server export-log` wrote")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        help="a signing key of the server (hex) that you know from elsewhere; may be repeated",
    )
    parser.add_argument(
        "--head",
        action="append",
        default=[],
        type=Path,
        help="a copy of a signed head (JSON) that was kept elsewhere; may be repeated",
    )
    found = parser.parse_args(arguments)
    wrong = [key for key in found.key if not _is_key(key)]
    if wrong:
        parser.error(f"not a key (64 hexadecimal digits): {', '.join(wrong)}")
    return _Wanted(found.file, found.key, found.head)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    wanted = _read_arguments(arguments)
    try:
        heads = [SignedHead.model_validate_json(path.read_bytes()) for path in wanted.heads]
        with wanted.file.open("rb") as file:
            deviating = 0
            for deviation in verify_export(file, wanted.keys, heads):
                deviating += 1
                sys.stdout.write(f"{deviation}\n")
    except (OSError, ValidationError) as error:
        sys.stderr.write(f"can't be read: {error}\n")
        return UNREADABLE
    if not wanted.keys:
        sys.stderr.write("no --key was given: the file's own was believed\n")
    sys.stdout.write(f"{deviating} deviations\n" if deviating else "the log is what was written\n")
    return DEVIATES if deviating else 0


if __name__ == "__main__":
    sys.exit(main())
