"""The server's own keys: it signs receipts and commands, and opens sealed feedback."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.public import PrivateKey

from event_protocol.sealing import sealing_key_id


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """`sealing` maps key id to private key (32 bytes); the newest is given to devices."""

    signing: Ed25519PrivateKey
    sealing: Mapping[str, bytes]
    sealing_public: bytes
    pepper: bytes  # makes hashes of receipts and pairing codes useless without this file

    @property
    def signing_public(self) -> bytes:
        """32 bytes, given to devices at pairing."""
        return self.signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def load_keys(directory: Path) -> ServerKeys:
    """The keys in `directory/keys.json`, made on the first start; readable by the owner alone."""
    path = directory / "keys.json"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        _write_new(path)
    stored = json.loads(path.read_text())
    sealing = [bytes.fromhex(key) for key in stored["sealing"]]
    publics = [bytes(PrivateKey(key).public_key) for key in sealing]
    return ServerKeys(
        signing=Ed25519PrivateKey.from_private_bytes(bytes.fromhex(stored["signing"])),
        sealing={sealing_key_id(p): k for p, k in zip(publics, sealing, strict=True)},
        sealing_public=publics[-1],
        pepper=bytes.fromhex(stored["pepper"]),
    )


def _write_new(path: Path) -> None:
    content = {
        "signing": token_hex(32),
        "sealing": [bytes(PrivateKey.generate()).hex()],
        "pepper": token_hex(32),
    }
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
