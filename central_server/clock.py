"""The clock of the server's programs; everything else is handed it."""

from datetime import UTC, datetime


def read_clock() -> datetime:
    """The one place where the server reads the time."""
    return datetime.now(UTC)  # noqa: TID251 - this is the clock
