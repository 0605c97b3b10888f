"""What the server signs of its own log: where it stood, and which key follows which.

A signed head that has left the machine holds whoever can rewrite the database to what stood there.
"""

from typing import Any, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from event_protocol.events import WireModel
from event_protocol.names import PositiveInteger, Sha256Hex, UtcTime
from event_protocol.signing import is_signed, sign


class SignedHead(WireModel):
    """The server's log ended at entry `through`, of that hash; `key` (Ed25519, hex) signed it."""

    kind: Literal["onestop.log-head"] = "onestop.log-head"
    time: UtcTime
    through: PositiveInteger
    hash: Sha256Hex
    key: Sha256Hex
    signature: str

    @property
    def is_genuine(self) -> bool:
        """Whether the holder of `key` signed it; whose key that is, is another question."""
        return is_signed(_without_signature(self), self.signature, bytes.fromhex(self.key))


def sign_head(unsigned: SignedHead, key: Ed25519PrivateKey) -> SignedHead:
    """The head with that key's name and signature."""
    named = unsigned.model_copy(update={"key": public_hex(key)})
    return named.model_copy(update={"signature": sign(_without_signature(named), key)})


class KeyHandover(WireModel):
    """The server signs with `new` from now on; each of the two keys vouches for the other, so that
    whoever trusts one of them may trust both.
    """

    old: Sha256Hex
    new: Sha256Hex
    by_old: str
    by_new: str

    @classmethod
    def between(cls, old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> Self:
        """Signed by both."""
        statement = _handover_statement(public_hex(old), public_hex(new))
        return cls(
            old=public_hex(old),
            new=public_hex(new),
            by_old=sign(statement, old),
            by_new=sign(statement, new),
        )

    @property
    def is_genuine(self) -> bool:
        """Whether both signed."""
        statement = _handover_statement(self.old, self.new)
        return is_signed(statement, self.by_old, bytes.fromhex(self.old)) and is_signed(
            statement, self.by_new, bytes.fromhex(self.new)
        )


def public_hex(key: Ed25519PrivateKey) -> str:
    """The public key's 32 bytes in hexadecimal."""
    return key.public_key().public_bytes_raw().hex()


def _without_signature(head: SignedHead) -> dict[str, Any]:
    return head.model_dump(mode="json", exclude={"signature"})


def _handover_statement(old: str, new: str) -> dict[str, Any]:
    return {"purpose": "onestop.server-key", "old": old, "new": new}
