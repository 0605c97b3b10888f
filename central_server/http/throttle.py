"""Token buckets in memory: they slow floods down and remember nobody.

By desk or by receipt and not by address: a village shares one, and addresses are not looked at.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

ROOM = 10_000  # buckets; more are looked through for those that are full again


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: datetime


class Throttle:
    """Used by several threads. Each key may act `burst` times at once, then `per_minute`."""

    def __init__(self, burst: int, per_minute: float) -> None:
        self._burst = burst
        self._per_second = per_minute / 60
        self._buckets: dict[Hashable, _Bucket] = {}
        self._room = ROOM
        self._lock = Lock()

    def __len__(self) -> int:
        """Buckets in memory."""
        return len(self._buckets)

    def allows(self, key: Hashable, now: datetime) -> bool:
        """Takes a token if there is one."""
        with self._lock:
            if len(self._buckets) >= self._room:
                self._drop_full(now)
            bucket = self._buckets.setdefault(key, _Bucket(self._burst, now))
            elapsed = max((now - bucket.filled_at).total_seconds(), 0.0)
            bucket.tokens = min(self._burst, bucket.tokens + elapsed * self._per_second)
            bucket.filled_at = now
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            return True

    def _drop_full(self, now: datetime) -> None:
        """A full bucket is as good as none; looked for again once there are twice as many."""
        fills_in_s = self._burst / self._per_second
        self._buckets = {
            key: bucket
            for key, bucket in self._buckets.items()
            if (now - bucket.filled_at).total_seconds() < fills_in_s
        }
        self._room = max(ROOM, 2 * len(self._buckets))
