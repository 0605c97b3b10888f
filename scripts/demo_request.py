"""What `make demo` was asked for: a port, and one real desk or the drawn ones. Starts nothing."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PORT = 8000
KIOSK_PORT = 8080
_SPAN = re.compile(r"\d+(?:\.\d+)?-\d+(?:\.\d+)?")
_STREAM = re.compile(r"[a-z]+://|usb:\d+$|\d+$")


class WrongRequestError(Exception):
    """What was asked for can't be shown; the message says what to change."""


@dataclass(frozen=True, slots=True)
class RealDesk:
    """A recording, stream or camera in place of the drawn rooms."""

    source: str
    zones_file: Path
    empty: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """`desk` is `None` for the drawn rooms and their history."""

    port: int
    kiosk_port: int
    broker_port: int
    desk: RealDesk | None


def read_request(environment: Mapping[str, str]) -> Request:
    """The request in PORT, SOURCE, ZONES and EMPTY; raises `WrongRequestError`."""
    port = _read_port(environment.get("PORT") or str(DEFAULT_PORT))
    kiosk_port = KIOSK_PORT if port != KIOSK_PORT and _is_free(KIOSK_PORT) else _free_port()
    return Request(port, kiosk_port, _free_port(), _read_desk(environment))


def _read_port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise WrongRequestError(f"PORT={text}: a port is a number from 1 to 65535")
    if not _is_free(int(text)):
        raise WrongRequestError(
            f"port {text} is in use by another program; choose another: make demo PORT=8001"
        )
    return int(text)


def _read_desk(environment: Mapping[str, str]) -> RealDesk | None:
    source, zones, empty = (environment.get(name, "") for name in ("SOURCE", "ZONES", "EMPTY"))
    if not source:
        if zones or empty:
            raise WrongRequestError("ZONES and EMPTY belong to a SOURCE; there is none")
        return None
    if not _STREAM.match(source):
        if not Path(source).is_file():
            raise WrongRequestError(f"SOURCE={source}: no such file")
        source = str(Path(source).resolve())
    if not zones or not Path(zones).is_file():
        raise WrongRequestError(f"ZONES={zones}: name a file with the desk's zones (YAML or JSON)")
    if empty and not _SPAN.fullmatch(empty):
        raise WrongRequestError(f"EMPTY={empty}: seconds in which nobody is there, as in 0-5")
    return RealDesk(source, Path(zones).resolve(), empty or None)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server will: what has just ended must not count as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
