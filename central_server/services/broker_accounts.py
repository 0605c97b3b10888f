"""Who may connect to the broker, as a password file in Mosquitto's own format.

The embedded broker reads the same file, so one hash serves both; see configs/mosquitto/.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from secrets import token_bytes, token_urlsafe

from central_server.services.context import ServerContext
from central_server.storage import registry

# Mosquitto's own count: these passwords are 192 random bits made here, which no one guesses; a slow
# hash would only make a thousand boxes that reconnect at once wait for each other.
_ITERATIONS = 101
_SALT_BYTES = 12
_FORMAT = "$7$"  # PBKDF2-HMAC-SHA512


def make_password() -> str:
    """A new password for a device: 192 random bits."""
    return token_urlsafe(24)


def hash_password(password: str, salt: bytes | None = None) -> str:
    """`$7$iterations$salt$hash`, as `mosquitto_passwd` writes it."""
    salt = salt or token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"{_FORMAT}{_ITERATIONS}${_base64(salt)}${_base64(digest)}"


def is_password(password: str, hashed: str) -> bool:
    """Whether that is the password behind the hash; a malformed hash is nobody's."""
    try:
        _, _, iterations, salt, digest = hashed.split("$")
        found = hashlib.pbkdf2_hmac(
            "sha512", password.encode(), base64.b64decode(salt), int(iterations)
        )
        return hashed.startswith(_FORMAT) and hmac.compare_digest(found, base64.b64decode(digest))
    except ValueError:
        return False


def own_password(context: ServerContext) -> str:
    """The server's password: the configured one, or one that follows from the server's keys."""
    configured = context.settings.broker.password
    return configured or hmac.new(context.keys.pepper, b"broker account", "sha256").hexdigest()


def password_file(context: ServerContext) -> Path:
    """Where the file lies."""
    return context.settings.directory / "broker" / "passwords"


def write_password_file(context: ServerContext) -> Path:
    """Writes the server and all paired devices anew; a reader sees the old or the new file."""
    with context.database.reading() as db:
        hashes = {
            device.device_id: device.password_hash
            for device in registry.list_paired(db)
            if device.password_hash
        }
    hashes[context.settings.broker.username] = hash_password(own_password(context))
    path = password_file(context)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, hashes)
    return path


def read_password_file(text: str) -> dict[str, str]:
    """Hashes by account name."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: hashed for name, colon, hashed in pairs if colon}


def _write(path: Path, hashes: Mapping[str, str]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}:{hashed}\n" for name, hashed in sorted(hashes.items()))
    temporary.replace(path)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
