"""How far our clock is from the server's, from the times its receipts carry. Pure."""

from collections import deque
from datetime import datetime, timedelta

READINGS = 16


class ClockOffset:
    """A receipt is late by its way and by its wait at the broker, never early: so the largest of
    the last readings is the nearest to the truth (the filter of one-way clock synchronisation).
    """

    def __init__(self) -> None:
        self._readings: deque[int] = deque(maxlen=READINGS)

    def learn(self, server_time: datetime, received_at: datetime) -> int:
        """Milliseconds to add to our clock to have the server's, with this reading."""
        self._readings.append((server_time - received_at) // timedelta(milliseconds=1))
        return max(self._readings)
