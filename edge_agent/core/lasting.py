"""Since when the same thing has shown itself without a break; what hysteresis is made of."""

from datetime import datetime
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Lasting(Generic[Value]):
    """The value shown last and the time of its first showing in this unbroken run."""

    def __init__(self) -> None:
        self._value: Value | None = None
        self._since: datetime | None = None

    @property
    def since(self) -> datetime | None:
        """Beginning of the present run; `None` if nothing is shown."""
        return self._since

    def show(self, value: Value, at: datetime) -> datetime:
        """`value` shows itself at that time; returns since when it has done so.

        A clock that was set back begins a new run: how long the old one lasted is not known.
        """
        if self._since is None or value != self._value or at < self._since:
            self._value, self._since = value, at
        return self._since

    def forget(self) -> None:
        """The run is broken."""
        self._value = self._since = None
