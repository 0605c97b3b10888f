"""A second opinion makes a stay's statements surer; it changes no state, and needs no repeat."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.desk_zones import Zone
from edge_agent.core.presence import PresenceTracker
from edge_agent.core.zone_reading import ZoneReading
from event_protocol.events import PresenceObserved, PresenceState, ZoneRole
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
SEAT = Zone("seat", ZoneRole.CITIZEN, ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))
OCCUPIED, EMPTY, UNKNOWN = PresenceState.OCCUPIED, PresenceState.EMPTY, PresenceState.UNKNOWN
SOMEBODY = ZoneReading(0.09, moving=0.01)  # half as sure as can be: 0.75
NOBODY = ZoneReading(0)
Said = tuple[float, PresenceState, float]


class Desk:
    """One desk; a reading a second."""

    def __init__(self) -> None:
        ids = count(1)
        self.tracker = PresenceTracker(DeskId("desk"), (SEAT,), lambda: UUID(int=next(ids)))
        self.second = 0

    @property
    def at(self) -> datetime:
        return START + timedelta(seconds=self.second)

    def show(self, reading: ZoneReading | None, seconds: int) -> list[Said]:
        """What was said: since when, state, confidence."""
        said = []
        for _ in range(seconds):
            self.second += 1
            readings = {} if reading is None else {"seat": reading}
            for data in (s.data for s in self.tracker.observe(readings, self.at)):
                assert isinstance(data, PresenceObserved)
                since = (data.since - START).total_seconds()
                said.append((since, data.state, data.confidence))
        return said

    def occupy(self) -> datetime:
        """Somebody sits down; the time of the picture that is shown to the confirmer."""
        self.show(NOBODY, 5)
        assert [s[1:] for s in self.show(SOMEBODY, 3)] == [(OCCUPIED, 0.75)]
        assert self.tracker.wants_look
        self.tracker.note_look()
        return self.at


def test_it_is_said_at_once_and_holds_for_the_stay() -> None:
    desk = Desk()
    shown_at = desk.occupy()
    assert desk.show(SOMEBODY, 2) == []
    desk.tracker.confirm("seat", shown_at)
    assert desk.show(SOMEBODY, 10) == [(6, OCCUPIED, 0.88)]
    assert desk.show(SOMEBODY, 300) == [(6, OCCUPIED, 0.88)], "five minutes later"
    assert [s[1:] for s in desk.show(NOBODY, 10)] == [(EMPTY, 1)]
    assert [s[1:] for s in desk.show(SOMEBODY, 3)] == [(OCCUPIED, 0.75)], "the next one"


def test_one_look_for_each_stay_and_none_while_nobody_is_there() -> None:
    desk = Desk()
    assert not desk.tracker.wants_look
    desk.occupy()
    assert not desk.tracker.wants_look
    desk.show(None, 5)
    desk.show(SOMEBODY, 5)
    assert not desk.tracker.wants_look, "the stay goes on"
    desk.show(NOBODY, 10)
    assert not desk.tracker.wants_look
    desk.show(SOMEBODY, 3)
    assert desk.tracker.wants_look


def test_an_answer_that_comes_late_confirms_nobody_else() -> None:
    desk = Desk()
    shown_at = desk.occupy()
    desk.show(NOBODY, 5)
    desk.tracker.confirm("seat", shown_at)
    assert desk.show(NOBODY, 5) == []
    desk.occupy()
    desk.tracker.confirm("seat", shown_at)
    assert desk.show(SOMEBODY, 10) == []


def test_a_second_answer_and_one_that_adds_nothing_are_not_said() -> None:
    desk = Desk()
    shown_at = desk.occupy()
    for confidence in ((6, OCCUPIED, 0.88), None):
        desk.tracker.confirm("seat", shown_at)
        assert desk.show(SOMEBODY, 5) == [confidence] * (confidence is not None)
    sure = Desk()
    sure.show(NOBODY, 5)
    sure.show(ZoneReading(0.4, moving=0.01), 3)
    sure.tracker.confirm("seat", sure.at)
    assert sure.show(ZoneReading(0.4, moving=0.01), 10) == []


def test_a_lost_picture_is_unknown_all_the_same_and_a_restart_remembers() -> None:
    desk = Desk()
    desk.tracker.confirm("seat", desk.occupy())
    desk.show(SOMEBODY, 2)
    assert [s[1:] for s in desk.show(None, 2)] == [(UNKNOWN, 0)]
    snapshot = json.loads(json.dumps(desk.tracker.snapshot()))
    restarted = Desk()
    restarted.tracker.restore(snapshot)
    restarted.second = desk.second
    assert (OCCUPIED, 0.88) in [s[1:] for s in restarted.show(SOMEBODY, 4)]


Script = Iterable[tuple[float, float, bool]]
_SCRIPTS = st.lists(
    st.tuples(st.sampled_from([0, 0.05, 0.09, 0.4]), st.sampled_from([0, 0.01]), st.booleans()),
    max_size=60,
)


@given(_SCRIPTS)
def test_states_are_the_same_as_without_and_no_confidence_is_lower(script: Script) -> None:
    plain, helped = Desk(), Desk()
    sure: dict[tuple[float, PresenceState], float] = {}
    for changed, moving, is_seen in script:
        reading = ZoneReading(changed, moving=moving)
        for since, state, confidence in plain.show(reading, 1):
            sure[since, state] = confidence
        for since, state, confidence in helped.show(reading, 1):
            assert confidence >= sure[since, state]
        if is_seen:
            helped.tracker.note_look()
            helped.tracker.confirm("seat", helped.at)
