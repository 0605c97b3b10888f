"""A server from its backup: into empty places only, checked before and after.

Devices keep what was receipted for 14 days and send again what the restored server does not know;
what came by phone or was decided after the backup is lost, and the log says that it was restored.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from nacl.public import PrivateKey

from central_server.domain.custody_log import ServerRestored
from central_server.services.backups import (
    DATABASE,
    EVIDENCE,
    MANIFEST,
    SEALED,
    SERVER,
    BackupError,
    Manifest,
    copy_checked,
    files_below,
    list_backups,
    mark_of,
    picture_place,
    read_manifest,
)
from central_server.services.context import ServerContext
from central_server.services.evidence import files_at
from central_server.services.keys import KEYS_FILE, load_keys
from central_server.settings import ServerSettings
from central_server.storage import database_copies, schema, server_log
from central_server.storage.database_copies import Told
from central_server.storage.private_files import make_private_folder, write_private
from central_server.storage.unit_of_work import Database
from event_protocol.sealing import SealError, open_sealed, sealing_key_id


def restore(
    settings: ServerSettings,
    source: Path,
    now: Callable[[], datetime],
    *,
    private_key: bytes | None = None,
    tell: Told = lambda part: None,
) -> ServerContext:
    """The server as it was backed up; `source` is a backup, or a folder of them: then the newest.

    An interrupted restoration can be run again: the database comes last. Raises `BackupError`
    before anything is changed if the backup is not whole, or if there is a server already.
    """
    folder = source if (source / MANIFEST).is_file() else _newest(source)
    manifest = read_manifest(folder)
    _check(folder, manifest, tell)
    files = {
        path.relative_to(folder / SERVER): path.read_bytes()
        for path in files_below(folder / SERVER)
    }
    if manifest.sealed_to is not None:
        files = _unseal(files, manifest.sealed_to, private_key)
    database = _open_empty(settings, manifest)
    try:
        _require_own_keys(settings.directory, files)
        _put_pictures(settings, folder, manifest, tell)
        for name, content in files.items():
            tell(str(name))
            make_private_folder((settings.directory / name).parent)
            write_private(settings.directory / name, content)
        database_copies.load(database, folder / DATABASE, manifest.revision, tell)
        schema.migrate(database)
        context = ServerContext(settings, database, load_keys(settings.directory), now)
        with database.transaction() as db:
            server_log.append(db, ServerRestored(backup=manifest.time), at=now())
    except BaseException:
        database.close()
        raise
    return context


def _newest(source: Path) -> Path:
    found = list_backups(source)
    if not found:
        raise BackupError(f"{source}: no complete backup is there")
    return found[-1]


def _check(folder: Path, manifest: Manifest, tell: Told) -> None:
    """That all of the backup is there and as it was written."""
    for name, mark in manifest.files.items():
        tell(name)
        path = folder / name
        if not path.is_file() or mark_of(path) != mark:
            raise BackupError(f"{path} is not what was backed up")
    for sha256 in manifest.evidence:
        if not picture_place(folder.parent / EVIDENCE, sha256).is_file():
            raise BackupError(f"the picture {sha256} is missing in {folder.parent / EVIDENCE}")


def _unseal(
    files: dict[Path, bytes], sealed_to: str, private_key: bytes | None
) -> dict[Path, bytes]:
    public = None if private_key is None else bytes(PrivateKey(private_key).public_key)
    if public is None or private_key is None or public.hex() != sealed_to:
        raise BackupError(f"its keys are sealed to {sealed_to}: that private key is needed")
    opened: dict[Path, bytes] = {}
    for name, content in files.items():
        try:
            plain = open_sealed(content.decode(), {sealing_key_id(public): private_key})
        except (SealError, UnicodeDecodeError) as error:
            raise BackupError(f"{name}: {error}") from error
        opened[name.with_name(name.name.removesuffix(SEALED))] = plain
    return opened


def _open_empty(settings: ServerSettings, manifest: Manifest) -> Database:
    """The configured database, which must be of the same kind, and nobody's yet."""
    file = database_copies.sqlite_file(settings.database_address)
    if (manifest.database == "sqlite") != (file is not None):
        raise BackupError(f"the backup is of {manifest.database}; the settings name another kind")
    if file is not None and file.exists():
        raise BackupError(f"{file} is there already: move it away first")
    make_private_folder(settings.directory)
    database = Database(settings.database_address)
    if file is None and not database_copies.is_empty(database):
        database.close()
        raise BackupError("the database holds tables already: name an empty one")
    return database


def _require_own_keys(directory: Path, files: dict[Path, bytes]) -> None:
    path = directory / KEYS_FILE
    if path.exists() and path.read_bytes() != files.get(Path(KEYS_FILE)):
        raise BackupError(f"{path} belongs to another server: move it away first")


def _put_pictures(settings: ServerSettings, folder: Path, manifest: Manifest, tell: Told) -> None:
    files = files_at(settings)
    for sha256 in manifest.evidence:
        target = files.path_of(sha256)
        if target.exists():
            continue
        tell(sha256)
        make_private_folder(target.parent)
        if not copy_checked(picture_place(folder.parent / EVIDENCE, sha256), target, sha256):
            raise BackupError(f"the picture {sha256} is not what was backed up")
