"""The server's own keys: it signs receipts and commands, and opens sealed feedback.

They change without a stop: whoever holds `ServerKeys` sees the file's new content at once. Former
signing keys stay, so that a device which knows no newer one can be told of it; former sealing keys,
so that what was sealed to them can be opened as long as any of it is kept or under way.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey

from central_server.storage.private_files import make_private_folder, write_private
from event_protocol.sealing import sealing_key_id

KEYS_FILE = "keys.json"


@dataclass(frozen=True, slots=True)
class _Content:
    """The file as it was read."""

    mark: tuple[int, int]
    signing: Ed25519PrivateKey
    former_signing: tuple[Ed25519PrivateKey, ...]
    sealing: Mapping[str, bytes]
    sealing_public: bytes
    pepper: bytes


class ServerKeys:
    """The keys as they are now. Any thread; any process may change the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._content = _read(path)

    @property
    def signing(self) -> Ed25519PrivateKey:
        """Signs all that the server says."""
        return self._fresh().signing

    @property
    def former_signing(self) -> tuple[Ed25519PrivateKey, ...]:
        """Sign only the configuration that names the present key, the oldest first."""
        return self._fresh().former_signing

    @property
    def signing_public(self) -> bytes:
        """32 bytes, given to devices at pairing."""
        return self.signing.public_key().public_bytes_raw()

    @property
    def sealing(self) -> Mapping[str, bytes]:
        """Private keys (32 bytes) by key id, of all that may still be opened."""
        return self._fresh().sealing

    @property
    def sealing_public(self) -> bytes:
        """The newest, given to devices."""
        return self._fresh().sealing_public

    @property
    def pepper(self) -> bytes:
        """Makes hashes of receipts and pairing codes useless without this file; never changes."""
        return self._fresh().pepper

    def add(self, signing: Ed25519PrivateKey | None, sealing: bytes | None) -> None:
        """From now on those are used; what was used before is kept as former."""
        stored = json.loads(self._path.read_text())
        if signing is not None:
            stored["former_signing"] = [*stored.get("former_signing", []), stored["signing"]]
            stored["signing"] = signing.private_bytes_raw().hex()
        if sealing is not None:
            stored["sealing"] = [*stored["sealing"], sealing.hex()]
        _write(self._path, stored)

    def retire(self, sealing_ids: set[str]) -> None:
        """Former signing keys and those sealing keys are gone for good; never the newest."""
        stored = json.loads(self._path.read_text())
        *former, newest = stored["sealing"]
        kept = [key for key in former if _id_of(bytes.fromhex(key)) not in sealing_ids]
        _write(self._path, {**stored, "former_signing": [], "sealing": [*kept, newest]})

    def _fresh(self) -> _Content:
        """Asking the system whether the file is the same takes a microsecond."""
        try:
            if _mark(self._path) != self._content.mark:
                with self._lock:
                    self._content = _read(self._path)
        except FileNotFoundError:
            pass  # taken away: what was read goes on serving
        return self._content


def load_keys(directory: Path) -> ServerKeys:
    """The keys in `directory/keys.json`, made on the first start; readable by the owner alone."""
    path = directory / KEYS_FILE
    if not path.exists():
        make_private_folder(directory)
        new = {
            "signing": token_hex(32),
            "sealing": [bytes(PrivateKey.generate()).hex()],
            "pepper": token_hex(32),
        }
        _write(path, new)
    return ServerKeys(path)


def _read(path: Path) -> _Content:
    mark = _mark(path)  # before its content: if that is newer, it is read once more
    stored = json.loads(path.read_text())
    sealing = [bytes.fromhex(key) for key in stored["sealing"]]
    return _Content(
        mark=mark,
        signing=_signing_key(stored["signing"]),
        former_signing=tuple(_signing_key(key) for key in stored.get("former_signing", [])),
        sealing={_id_of(key): key for key in sealing},
        sealing_public=bytes(PrivateKey(sealing[-1]).public_key),
        pepper=bytes.fromhex(stored["pepper"]),
    )


def _mark(path: Path) -> tuple[int, int]:
    """Another after each change: the file is replaced, never written into."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _signing_key(stored: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(stored))


def _id_of(private_key: bytes) -> str:
    return sealing_key_id(bytes(PrivateKey(private_key).public_key))


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_private(path, json.dumps(content).encode())
