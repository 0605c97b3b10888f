"""The keys that encrypt segments: made here, sealed to the server at once, soon forgotten.

Only the server opens a sealed key, so that neither a stolen disk nor this box after a restart can
read what was recorded. See docs/decisions/0009-evidence.md.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from event_protocol.evidence_keys import KEY_BYTES, KEY_LIFETIME, DataKey, seal_key
from event_protocol.names import DeviceId


@dataclass(frozen=True, slots=True)
class CurrentKey:
    """One camera's key of these minutes, and as what it lies on the disk."""

    key_id: str
    sealed: str
    key: bytes
    since: datetime


class DataKeys:
    """Every camera's key of now; forgets the one before. For the writing thread alone.

    `sealing_key` gives the server's public key (32 bytes), which may be replaced at any time.
    """

    def __init__(self, device: DeviceId, sealing_key: Callable[[], bytes]) -> None:
        self._device = device
        self._sealing_key = sealing_key
        self._current: dict[str, CurrentKey] = {}

    def key_for(self, camera: str, begin: datetime, end: datetime) -> CurrentKey:
        """The key for a segment of that span."""
        current = self._current.get(camera)
        if current is None or not current.since <= begin <= end <= current.since + KEY_LIFETIME:
            current = self._current[camera] = self._make(camera, begin)
        return current

    def _make(self, camera: str, since: datetime) -> CurrentKey:
        key = secrets.token_bytes(KEY_BYTES)
        content = DataKey(device=self._device, camera=camera, since=since, key=key.hex())
        sealed = seal_key(content, self._sealing_key())
        return CurrentKey(secrets.token_hex(16), sealed, key, content.since)
