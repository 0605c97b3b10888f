"""Free loopback ports, and waiting for what real programs do in their own time."""

import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress

POLL_S = 0.02


# Below what Linux gives to outgoing connections: one of these could take the port of a server that
# is to be started again, or, looking for it, find itself.
FIRST_PORT, LAST_PORT = 10_000, 32_000


def free_port() -> int:
    """A TCP port that nobody uses just now, and no outgoing connection will."""
    while True:
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def is_listening(port: int) -> bool:
    """Whether somebody takes connections on that loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(
    condition: Callable[[], object], timeout_s: float = 15, what: str = "", poll_s: float = POLL_S
) -> None:
    """Return as soon as `condition()` is true; `TimeoutError` naming `what` if it never is."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout_s} s still not: {what or condition}")
        time.sleep(poll_s)
