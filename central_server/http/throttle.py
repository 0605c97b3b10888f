"""Token buckets in memory: they slow floods down and remember nobody.

By desk and not by address: a village shares one address, and addresses are not looked at.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock


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
        self._lock = Lock()

    def allows(self, key: Hashable, now: datetime) -> bool:
        """Takes a token if there is one."""
        with self._lock:
            bucket = self._buckets.setdefault(key, _Bucket(self._burst, now))
            elapsed = max((now - bucket.filled_at).total_seconds(), 0.0)
            bucket.tokens = min(self._burst, bucket.tokens + elapsed * self._per_second)
            bucket.filled_at = now
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            return True
