"""What makes a log-in acceptable, and how guessing is slowed down. Knows no hash, no database."""

import re
from datetime import timedelta

from central_server.domain.errors import InvalidError

MIN_PASSWORD_CHARACTERS = 10
MAX_PASSWORD_CHARACTERS = 200  # Argon2 of a megabyte would be a way to keep the server busy
_USER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")

FREE_FAILURES = 5  # a tired person mistypes three or four times
_FIRST_LOCK = timedelta(seconds=30)
_LONGEST_LOCK = timedelta(minutes=15)


def is_user_name(text: str) -> bool:
    """Whether an account can have that log-in name."""
    return _USER_NAME.fullmatch(text) is not None


def check_credentials(user_id: str, password: str) -> None:
    """Refuses a log-in name or a password that an account can't have."""
    if not is_user_name(user_id):
        raise InvalidError("error.user_name")
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise InvalidError("error.password_length", minimum=MIN_PASSWORD_CHARACTERS)


def lock_for(failures: int) -> timedelta | None:
    """How long an account is locked after so many failures in a row: doubled each time."""
    if failures < FREE_FAILURES:
        return None
    doublings = min(failures - FREE_FAILURES, 10)
    return min(_FIRST_LOCK * (1 << doublings), _LONGEST_LOCK)
