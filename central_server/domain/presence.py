"""What is known of a desk's zones at a time, from what its device stated. Pure.

A zone is known from one statement to the next; a gap, a restart or a wrong clock makes it unknown
at once. The zone knows that *somebody* is there, never who.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from event_protocol.events import PresenceState, ZoneRole

# A state may be older than its first statement, but a device that reaches back further has a clock
# that can't be believed.
OLDEST_SINCE = timedelta(days=31)
# Times within a stream wander by less than this; more is a clock that was set.
CLOCK_SLACK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Statement:
    """One `presence.observed`: zone `zone` is in `state` since `since`, said at `at`."""

    sequence: int
    at: datetime
    zone: str
    role: ZoneRole
    state: PresenceState
    since: datetime
    session_id: str | None


@dataclass(slots=True)
class Zone:
    """The last that is known."""

    role: ZoneRole
    state: PresenceState
    since: datetime
    stated_at: datetime
    sequence: int  # of the statement that began this state


def officer_state(zones: Iterable[Zone]) -> PresenceState:
    """Somebody in any officer zone; nobody only if all are known to be empty; else unknown."""
    states = [zone.state for zone in zones if zone.role is ZoneRole.OFFICER]
    if PresenceState.OCCUPIED in states:
        return PresenceState.OCCUPIED
    if not states or PresenceState.UNKNOWN in states:
        return PresenceState.UNKNOWN
    return PresenceState.EMPTY


def is_observed(zones: Iterable[Zone]) -> bool:
    """Whether all citizen zones (and there are some) are known."""
    states = [zone.state for zone in zones if zone.role is ZoneRole.CITIZEN]
    return bool(states) and PresenceState.UNKNOWN not in states


def settle_since(statement: Statement, zone: Zone | None) -> tuple[datetime, bool]:
    """When the stated state began, and whether that can be believed.

    Not after it was said and not before the zone's former state began: who reaches back behind that
    by more than a clock's wandering contradicts what was said, and the last statement is the bound.
    """
    since = min(statement.since, statement.at)
    if since < statement.at - OLDEST_SINCE:
        return (zone.stated_at if zone else statement.at), False
    if zone is None or since >= zone.since:
        return since, True
    if statement.state is PresenceState.UNKNOWN or zone.since - since <= CLOCK_SLACK:
        return zone.since, True
    return zone.stated_at, False
