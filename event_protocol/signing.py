"""Ed25519 signatures: devices sign checkpoints, the server signs receipts and commands."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from event_protocol.canonical import canonical_bytes
from event_protocol.names import DeviceId


def sign(statement: Mapping[str, Any], key: Ed25519PrivateKey) -> str:
    """Base64 signature over the canonical form of `statement`."""
    return base64.b64encode(key.sign(canonical_bytes(statement))).decode()


def is_signed(statement: Mapping[str, Any], signature: str, public_key: bytes) -> bool:
    """Whether the holder of that key (32 bytes) signed that statement.

    A signature has one spelling: Base64 would let its last bits be anything.
    """
    try:
        raw = base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw, canonical_bytes(statement))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return base64.b64encode(raw).decode() == signature


def checkpoint_statement(
    device: DeviceId, epoch: int, through: int, head_hash: str
) -> dict[str, Any]:
    """What a device's checkpoint signs."""
    return {
        "purpose": "onestop.checkpoint",
        "device": device,
        "epoch": epoch,
        "through": through,
        "hash": head_hash,
    }
