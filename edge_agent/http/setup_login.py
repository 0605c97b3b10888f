"""Who may use the wizard: a PIN, then a signed cookie; each form carries a token of that log-in."""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fastapi import Request, Response

COOKIE = "onestop-setup"
HOLDS = timedelta(hours=8)
# The hash is slow; this makes a whole dictionary of PINs take years.
TRIES_IN_A_ROW = 5
PAUSE = timedelta(minutes=1)


class SetupLogin:
    """Log-ins of one box; ends with the agent's run, as `key` is made anew. Thread-safe."""

    def __init__(self, key: bytes, now: Callable[[], datetime]) -> None:
        self._key = key
        self._now = now
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_until: datetime | None = None

    def may_try(self) -> bool:
        """Whether another PIN may be tried now."""
        with self._lock:
            return self._closed_until is None or self._now() >= self._closed_until

    def note_try(self, *, is_right: bool) -> None:
        """Count a try; too many wrong ones in a row close the door for a while."""
        with self._lock:
            self._failures = 0 if is_right else self._failures + 1
            is_closed = self._failures >= TRIES_IN_A_ROW
            self._closed_until = self._now() + PAUSE if is_closed else None

    def open(self, request: Request, answer: Response) -> None:
        """Log this browser in."""
        until = int((self._now() + HOLDS).timestamp())
        login = f"{until}.{secrets.token_urlsafe(16)}"
        answer.set_cookie(
            COOKIE,
            f"{login}.{self._sign('login', login)}",
            max_age=int(HOLDS.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path="/setup",
        )

    def close(self, answer: Response) -> None:
        """Log this browser out."""
        answer.delete_cookie(COOKIE, path="/setup")

    def find(self, request: Request) -> str | None:
        """This browser's log-in, if it has one that holds."""
        login, _, signature = request.cookies.get(COOKIE, "").rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("login", login).encode()):
            return None
        until = login.partition(".")[0]
        return login if until.isdigit() and self._now().timestamp() < int(until) else None

    def form_token(self, login: str) -> str:
        """What each form of this log-in must carry."""
        return self._sign("form", login)

    def is_own_form(self, request: Request, login: str, token: str) -> bool:
        """Whether the form came from a page of ours, in this log-in."""
        origin = request.headers.get("origin")
        is_here = origin is None or urlsplit(origin).netloc == request.headers.get("host")
        return is_here and hmac.compare_digest(token.encode(), self.form_token(login).encode())

    def _sign(self, purpose: str, text: str) -> str:
        message = f"onestop setup {purpose}\0{text}".encode()
        return hmac.digest(self._key, message, hashlib.sha256).hex()
