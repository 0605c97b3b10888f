"""Backup of a running server: database, keys, pictures, one folder for each time it was made.

    DEST/evidence/ab/<sha256>       pictures, shared by all backups there
    DEST/20260302T080000Z/          one backup: complete once it has this name
        manifest.json               what belongs to it, each file with its size and hash
        database/  server/          the database; the files of the server's folder

Pictures that are there already are not copied again, so that an interrupted or repeated backup goes
on where it was.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from central_server.domain.server_log import Viewed
from central_server.services.context import ServerContext
from central_server.services.evidence import files_of
from central_server.storage import database_copies, schema, server_log
from central_server.storage.database_copies import Told
from central_server.storage.private_files import (
    create_private,
    flush_file,
    make_private_folder,
    write_private,
)
from event_protocol.names import Sha256Hex, UtcTime
from event_protocol.sealing import seal_bytes

BACKED_UP = "server.backed_up"
MANIFEST, DATABASE, SERVER, EVIDENCE = "manifest.json", "database", "server", "evidence"
PARTIAL = ".partial"
SEALED = ".sealed"
# Written anew at each start, or another program's.
_NOT_OURS = ("broker",)
_READ_BYTES = 2**20


class BackupError(Exception):
    """It can't be made or used; the text says why, to who runs the command."""


class FileMark(BaseModel):
    """What a file must be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int
    sha256: Sha256Hex


class Manifest(BaseModel):
    """What belongs to one backup; `revision`: the step of the database's schema."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    time: UtcTime
    database: Literal["sqlite", "postgresql"]
    revision: str
    files: dict[str, FileMark]
    evidence: tuple[Sha256Hex, ...]
    sealed_to: Sha256Hex | None


def back_up(
    context: ServerContext,
    target: Path,
    *,
    keep: int,
    recipient: bytes | None = None,
    tell: Told = lambda part: None,
) -> Path:
    """A new backup below `target`, the last `keep` of which stay; returns its folder.

    `recipient`: an X25519 public key to which the files of the server's folder, its keys above all,
    are sealed. Raises `BackupError` and `OSError`.
    """
    now = context.now()
    folder = target / f"{now:%Y%m%dT%H%M%SZ}"
    if folder.exists():
        raise BackupError(f"{folder} is there already")
    with context.database.transaction() as db:
        entry = Viewed(by="command", what=BACKED_UP, subject=folder.name)
        server_log.append(db, entry, at=now)
    make_private_folder(target)
    for left in target.glob(f"*{PARTIAL}"):
        shutil.rmtree(left)
    work = target / f"{folder.name}{PARTIAL}"
    for part in (work, work / DATABASE, work / SERVER):
        make_private_folder(part)
    with context.database.reading() as db:
        revision = schema.revision_of(db)
    database_copies.dump(context.database, work / DATABASE, tell)
    _copy_folder(context, work / SERVER, recipient, tell)
    pictures = tuple(_copy_pictures(context, target / EVIDENCE, tell))
    manifest = Manifest(
        time=now,
        database="sqlite" if context.database.is_sqlite else "postgresql",
        revision=revision,
        files={str(path.relative_to(work)): mark_of(path) for path in files_below(work)},
        evidence=pictures,
        sealed_to=None if recipient is None else recipient.hex(),
    )
    write_private(work / MANIFEST, manifest.model_dump_json(indent=1).encode())
    work.rename(folder)
    flush_file(target)
    _drop_old(target, keep)
    return folder


def list_backups(target: Path) -> list[Path]:
    """The complete ones, oldest first."""
    return sorted(path.parent for path in target.glob(f"*/{MANIFEST}") if _is_complete(path))


def read_manifest(folder: Path) -> Manifest:
    """What belongs to that backup; raises `BackupError`."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise BackupError(f"{folder / MANIFEST}: {error}") from error


def mark_of(path: Path) -> FileMark:
    """The file as it is."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileMark(size=path.stat().st_size, sha256=digest)


def picture_place(folder: Path, sha256: str) -> Path:
    """Where a picture lies in a folder of backups."""
    return folder / sha256[:2] / sha256


def files_below(folder: Path) -> Iterator[Path]:
    """All files there, in order."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _is_complete(manifest: Path) -> bool:
    return not manifest.parent.name.endswith(PARTIAL)


def _copy_folder(context: ServerContext, target: Path, recipient: bytes | None, tell: Told) -> None:
    """Keys, certificates, signed heads: whatever lies there and is nobody else's to keep."""
    settings = context.settings
    source = settings.directory.resolve()
    database = database_copies.sqlite_file(settings.database_address)
    kept_elsewhere = [settings.evidence_directory.resolve(), *(source / name for name in _NOT_OURS)]
    for path in files_below(source):
        is_database = database is not None and path.name.startswith(database.name)
        if is_database or any(path.is_relative_to(folder) for folder in kept_elsewhere):
            continue
        name = path.relative_to(source)
        tell(str(name))
        content = path.read_bytes()
        if recipient is not None:
            name = name.with_name(name.name + SEALED)
            content = seal_bytes(content, recipient).encode()
        for folder in reversed((target / name).parents):
            if folder.is_relative_to(target):
                make_private_folder(folder)
        write_private(target / name, content)


def _copy_pictures(context: ServerContext, target: Path, tell: Told) -> Iterator[str]:
    """Those not there yet; the hashes of all. Each file is what its name says, or is left out."""
    make_private_folder(target)
    for path in files_of(context).list_finished():
        place = picture_place(target, path.name)
        if not place.exists():
            tell(path.name)
            make_private_folder(place.parent)
            if not copy_checked(path, place, path.name):
                continue  # verify-log names it
        yield path.name


def copy_checked(source: Path, target: Path, sha256: str) -> bool:
    """Copies a file if its content has that hash; `False`, and nothing there, if not."""
    temporary = target.with_name(f".{target.name}")
    temporary.unlink(missing_ok=True)
    digest = hashlib.sha256()
    try:
        with source.open("rb") as read, create_private(temporary) as written:
            while block := read.read(_READ_BYTES):
                digest.update(block)
                written.write(block)
    except FileNotFoundError:  # erased by its age just now
        return False
    if digest.hexdigest() != sha256:
        temporary.unlink()
        return False
    flush_file(temporary)
    temporary.replace(target)
    flush_file(target.parent)
    return True


def _drop_old(target: Path, keep: int) -> None:
    """What is erased at the server must not live on for ever in its backups."""
    for folder in list_backups(target)[:-keep]:
        shutil.rmtree(folder)
    needed = {name for folder in list_backups(target) for name in read_manifest(folder).evidence}
    for path in files_below(target / EVIDENCE):
        if path.name not in needed:
            path.unlink()
