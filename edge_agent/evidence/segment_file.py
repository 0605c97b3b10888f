"""One segment as it lies on the disk: a readable head, then ciphertext that the head is bound to.

8 bytes   mark and version
4 bytes   length of the head, big-endian
…         head: JSON with camera, span, and the sealed data key
12 bytes  nonce
…         ChaCha20-Poly1305 of the MP4, with all that stands before the nonce as associated data
"""

import secrets
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from pydantic import ValidationError

from edge_agent.evidence.data_keys import CurrentKey
from event_protocol.canonical import canonical_bytes
from event_protocol.events import WireModel
from event_protocol.evidence import SealedKey
from event_protocol.names import CameraName, UtcTime

_MARK = b"ODWSEG1\n"
_LENGTH_BYTES = 4
_NONCE_BYTES = 12
_MOST_HEAD_BYTES = 4096
HEAD_BYTES = len(_MARK) + _LENGTH_BYTES + _MOST_HEAD_BYTES
"""So much of a file holds its head, whatever it says."""


class UnreadableError(Exception):
    """The file is none of ours, damaged, or was encrypted with another key."""


class SegmentHead(WireModel):
    """What can be known of a segment without its key."""

    camera: CameraName
    begin: UtcTime
    end: UtcTime
    key: SealedKey


@dataclass(frozen=True, slots=True)
class _Parts:
    head: SegmentHead
    bound: bytes
    body: bytes


def encrypt(mp4: bytes, camera: str, begin: datetime, end: datetime, key: CurrentKey) -> bytes:
    """The whole file of a segment."""
    sealed = SealedKey(key_id=key.key_id, sealed=key.sealed)
    head = SegmentHead(camera=camera, begin=begin, end=end, key=sealed)
    content = canonical_bytes(head.model_dump(mode="json"))
    bound = _MARK + len(content).to_bytes(_LENGTH_BYTES) + content
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return bound + nonce + ChaCha20Poly1305(key.key).encrypt(nonce, mp4, bound)


def read_head(file: bytes) -> SegmentHead:
    """The head of a file, of which `HEAD_BYTES` are enough; raises `UnreadableError`."""
    return _take_apart(file).head


def decrypt(file: bytes, key: bytes) -> bytes:
    """The MP4 in the file; raises `UnreadableError` unless every byte is as it was written."""
    parts = _take_apart(file)
    nonce, secret = parts.body[:_NONCE_BYTES], parts.body[_NONCE_BYTES:]
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, secret, parts.bound)
    except (InvalidTag, ValueError) as error:
        raise UnreadableError("damaged, or of another key") from error


def _take_apart(file: bytes) -> _Parts:
    begin = len(_MARK) + _LENGTH_BYTES
    size = int.from_bytes(file[len(_MARK) : begin])
    if file[: len(_MARK)] != _MARK or size > _MOST_HEAD_BYTES:
        raise UnreadableError("not a segment")
    try:
        head = SegmentHead.model_validate_json(file[begin : begin + size])
    except ValidationError as error:
        raise UnreadableError("its head can't be read") from error
    return _Parts(head, file[: begin + size], file[begin + size :])
