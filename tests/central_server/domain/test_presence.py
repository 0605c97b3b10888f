"""What is known of the officer and of the desk, and how far back a statement may reach."""

from datetime import timedelta

import pytest

from central_server.domain.presence import (
    Statement,
    Zone,
    is_observed,
    officer_state,
    settle_since,
)
from event_protocol.events import PresenceState, ZoneRole
from tests.central_server.domain.stories import minute

OCCUPIED, EMPTY, UNKNOWN = PresenceState.OCCUPIED, PresenceState.EMPTY, PresenceState.UNKNOWN


def zone(role: ZoneRole, state: PresenceState) -> Zone:
    return Zone(role, state, minute(0), minute(10), 1)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], UNKNOWN),
        ([EMPTY], EMPTY),
        ([EMPTY, UNKNOWN], UNKNOWN),
        ([UNKNOWN, OCCUPIED], OCCUPIED),
        ([EMPTY, EMPTY], EMPTY),
    ],
)
def test_officer(states: list[PresenceState], expected: PresenceState) -> None:
    zones = [zone(ZoneRole.OFFICER, state) for state in states]
    assert officer_state([*zones, zone(ZoneRole.CITIZEN, OCCUPIED)]) is expected


def test_observed_is_all_citizen_zones() -> None:
    known, unknown = zone(ZoneRole.CITIZEN, EMPTY), zone(ZoneRole.CITIZEN, UNKNOWN)
    assert is_observed([known, zone(ZoneRole.OFFICER, UNKNOWN)])
    assert not is_observed([known, unknown])
    assert not is_observed([zone(ZoneRole.OFFICER, EMPTY)])


def statement(state: PresenceState, since: float, at: float = 20) -> Statement:
    return Statement(2, minute(at), "z", ZoneRole.CITIZEN, state, minute(since), None)


def test_since_is_believed_as_long_as_it_contradicts_nothing() -> None:
    known = zone(ZoneRole.CITIZEN, EMPTY)
    assert settle_since(statement(OCCUPIED, 19), known) == (minute(19), True)
    assert settle_since(statement(OCCUPIED, 19), None) == (minute(19), True)
    assert settle_since(statement(OCCUPIED, 25), known) == (minute(20), True)  # not after it
    assert settle_since(statement(OCCUPIED, -0.5), known) == (minute(0), True)
    assert settle_since(statement(UNKNOWN, -30), known) == (minute(0), True)


def test_since_behind_what_was_said_is_not_believed() -> None:
    known = zone(ZoneRole.CITIZEN, EMPTY)
    assert settle_since(statement(OCCUPIED, -30), known) == (minute(10), False)
    long_ago = -timedelta(days=40).total_seconds() / 60
    assert settle_since(statement(OCCUPIED, long_ago), known) == (minute(10), False)
    assert settle_since(statement(OCCUPIED, long_ago), None) == (minute(20), False)
