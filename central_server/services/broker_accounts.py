"""Who may connect to the broker: names, and passwords hashed as Mosquitto hashes them.

The embedded broker reads them from a file; a Mosquitto is told them (mqtt/mosquitto_accounts.py).
"""

import base64
import hashlib
import hmac
from pathlib import Path
from secrets import token_bytes

from central_server.services.authority import find_authority
from central_server.services.context import ServerContext
from central_server.storage import registry
from central_server.storage.private_files import write_private

# Mosquitto's own count: these passwords are 192 random bits made here, which no one guesses; a slow
# hash would only make a thousand boxes that reconnect at once wait for each other.
_ITERATIONS = 101
_SALT_BYTES = 12
_FORMAT = "$7$"  # PBKDF2-HMAC-SHA512


def make_access(context: ServerContext, device: str) -> tuple[str, str]:
    """A new password for a device, and its hash."""
    salt = token_bytes(_SALT_BYTES)
    password = _password_from(context, device, salt)
    return password, hash_password(password, salt)


def password_behind(context: ServerContext, device: str, hashed: str) -> str:
    """The password of that device again, for a broker that lost its accounts.

    It follows from the server's keys and the random salt in its hash, so it need not be kept.
    """
    return _password_from(context, device, base64.b64decode(hashed.split("$")[3]))


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


def broker_authority(context: ServerContext) -> str | None:
    """Who signed the broker's certificate (PEM); `None`: one whom the system trusts."""
    if context.settings.broker.ca_file is not None:
        return context.settings.broker.ca_file.read_text()
    authority = find_authority(context.settings.directory)
    return None if authority is None else authority.trusted


def password_file(context: ServerContext) -> Path:
    """Where the file lies."""
    return context.settings.directory / "broker" / "passwords"


def write_password_file(context: ServerContext) -> Path:
    """Writes the server and all paired devices anew; a reader sees the old or the new file."""
    hashes = device_hashes(context)
    hashes[context.settings.broker.username] = hash_password(own_password(context))
    path = password_file(context)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{name}:{one}\n" for name, one in sorted(hashes.items()))
    write_private(path, "".join(lines).encode())
    return path


def device_hashes(context: ServerContext) -> dict[str, str]:
    """The hash of each device that is paired and not revoked."""
    with context.database.reading() as db:
        return {
            device.device_id: device.password_hash
            for device in registry.list_paired(db)
            if device.password_hash
        }


def read_password_file(text: str) -> dict[str, str]:
    """Hashes by account name."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: hashed for name, colon, hashed in pairs if colon}


def _password_from(context: ServerContext, device: str, salt: bytes) -> str:
    """192 bits that nobody without the server's keys can tell from random ones."""
    statement = b"device's broker account:" + device.encode() + b":" + salt
    digest = hmac.new(context.keys.pepper, statement, "sha256").digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
