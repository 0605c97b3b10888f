"""Free loopback ports, and waiting for what real programs do in their own time."""

import socket
import time
from collections.abc import Callable

POLL_S = 0.02


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
