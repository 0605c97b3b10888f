"""What speaks against a device's own record: forged checkpoints, clocks that are wrong. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from central_server.domain.presence import CLOCK_SLACK
from event_protocol.names import DeviceId
from event_protocol.signing import checkpoint_statement, is_signed

# As far as a received event's time may lie ahead of ours (services/filing.py).
LARGEST_OFFSET_MS = 300_000


class ClockFault(StrEnum):
    """How a clock shows itself to be wrong."""

    FUTURE = "future"  # ahead of the time at which the event arrived
    PAST = "past"  # further back than any box keeps events
    SET_BACK = "set_back"  # behind what the same box said before
    OFFSET = "offset"  # by the box's own reckoning against the server's clock


def clock_fault(
    clock: str, at: datetime, latest: datetime | None, offset_ms: int | None
) -> ClockFault | None:
    """What is wrong with the clock by which an event says `at`.

    `clock` as filed; `latest`: the last time of that stream which is believed; `offset_ms`: the
    server's clock minus the box's, as the event says.
    """
    if clock != "ok":
        return ClockFault(clock)
    if latest is not None and at < latest - CLOCK_SLACK:
        return ClockFault.SET_BACK
    if offset_ms is not None and abs(offset_ms) > LARGEST_OFFSET_MS:
        return ClockFault.OFFSET
    return None


def checkpoint_fault(
    device: str,
    epoch: int,
    public_key: bytes | None,
    body: Mapping[str, Any],
    hash_before: str | None,
) -> str | None:
    """What is wrong with a checkpoint; the head that it signs is the event before it.

    Without `public_key` its signature is not judged.
    """
    data = body["data"]
    if data["through"] == body["sequence"] - 1 and data["hash"] != hash_before:
        return "checkpoint_hash"
    if public_key is None:
        return None
    statement = checkpoint_statement(DeviceId(device), epoch, data["through"], data["hash"])
    return None if is_signed(statement, data["signature"], public_key) else "checkpoint_signature"
