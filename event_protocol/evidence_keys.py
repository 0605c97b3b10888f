"""The keys that encrypt a box's ring on its disk: who holds them when, and for which span.

A data key encrypts the segments of one camera for at most `KEY_LIFETIME`. It lives in the agent's
memory; on disk it lies only sealed to the server, so a stolen disk does not hold it. After a
restart the box needs it again for a clip that was asked for: its report says `needs_keys` and names
a public key made at this boot, and the server hands back the keys of the span asked for, and of no
other, sealed to that.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import timedelta

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from pydantic import ValidationError

from event_protocol.canonical import canonical_bytes
from event_protocol.events import WireModel
from event_protocol.evidence import Span
from event_protocol.names import CameraName, DeviceName, Sha256Hex, UtcTime
from event_protocol.sealing import SealError, open_sealed, seal_bytes

# What is handed back for a clip opens no more than so much around it.
KEY_LIFETIME = timedelta(minutes=10)
KEY_BYTES = 32


class DataKey(WireModel):
    """What is sealed (`key id:base64`, as JSON): a key, and what it encrypts for ten minutes.

    Whoever holds a box's disk and its identity can make no other statement about a key that was
    sealed before: the seal covers all of it.
    """

    device: DeviceName
    camera: CameraName
    since: UtcTime
    key: Sha256Hex

    def may_open(self, device: str, camera: str, span: Span) -> bool:
        """Whether some of that camera's pictures of the span may be encrypted with it."""
        return (
            (self.device, self.camera) == (device, camera)
            and self.since <= span.end
            and span.begin <= self.since + KEY_LIFETIME
        )


def seal_key(key: DataKey, server_public_key: bytes) -> str:
    """`key id:base64`, as it may lie on the box's disk; only the server opens it."""
    return seal_bytes(canonical_bytes(key.model_dump(mode="json")), server_public_key)


def unseal_key(sealed: str, private_keys: Mapping[str, bytes]) -> DataKey:
    """The server opens it with its private keys by key id; raises `SealError`."""
    try:
        return DataKey.model_validate_json(open_sealed(sealed, private_keys))
    except ValidationError as error:
        raise SealError("what was sealed is no data key") from error


def hand_back(key: DataKey, boot_public_key: bytes) -> str:
    """Base64 of the bare key, readable only by the agent of that boot."""
    box = SealedBox(PublicKey(boot_public_key)).encrypt(bytes.fromhex(key.key))
    return base64.b64encode(box).decode()


def take_back(handed: str, boot_private_key: bytes) -> bytes:
    """The key (32 bytes); raises `SealError` if it was meant for another boot."""
    try:
        key = SealedBox(PrivateKey(boot_private_key)).decrypt(
            base64.b64decode(handed, validate=True)
        )
    except (CryptoError, binascii.Error, ValueError) as error:
        raise SealError(f"can't be opened: {type(error).__name__}") from error
    if len(key) != KEY_BYTES:
        raise SealError("what was handed back is no data key")
    return key
