"""The presence of one zone: what its readings mean becomes statements, memory and stays.

A *reading* is what one picture says of the zone, or `None` where nothing can be said (no reference
of that size, or the picture can't be trusted). Knows no camera, no picture and no clock.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel

from edge_agent.core.confirmation import raise_confidence
from edge_agent.core.desk_zones import Zone
from edge_agent.core.statements import Statement
from edge_agent.core.zone_evidence import Learn, Verdict, ZoneEvidence
from edge_agent.core.zone_reading import ZoneReading
from event_protocol.events import PresenceObserved, PresenceState, ZoneRole
from event_protocol.names import DeskId

REPEAT_EVERY = timedelta(minutes=5)
START_GRACE = timedelta(seconds=2)  # the time in which a first state can be confirmed
# Longer without a frame, and what happened in between is not known. Some cameras send one picture
# every four seconds.
MAX_GAP = timedelta(seconds=10)
# A camera reconnects, or the agent restarts, in 5 to 40 s. Beyond a minute somebody else may well
# have sat down, and two people in one session is a worse error than one in two.
RESUME_WITHIN = timedelta(seconds=60)
FEEDBACK_WITHIN = timedelta(minutes=3)  # after the stay was last seen


class ZoneMemory(BaseModel):
    """What a zone's tracker must still know after a restart.

    `stay` is the present stay's id, or the last one's once `stay_ended_at` is set. Of that stay a
    picture may have been shown to the confirmer, who may have seen somebody in it.
    """

    state: PresenceState = PresenceState.UNKNOWN
    since: datetime | None = None
    last_at: datetime | None = None
    stated_at: datetime | None = None
    observed: timedelta = timedelta()
    stay: UUID | None = None
    stay_ended_at: datetime | None = None
    was_looked_at: bool = False
    is_confirmed: bool = False


class ZoneTracker:
    """The presence of one zone."""

    def __init__(self, desk: DeskId, zone: Zone, new_id: Callable[[], UUID]) -> None:
        self.zone = zone
        self.memory = ZoneMemory()
        self._desk = desk
        self._new_id = new_id
        self._started_at: datetime | None = None
        self._is_stated = False
        self._stated_confidence = 0.0
        self._is_news = False  # the present state is surer than was stated
        self._was_seen = False
        self._evidence = ZoneEvidence()

    def settled_until(self, at: datetime) -> datetime:
        """No change that is still to be stated will be about a time before this."""
        if not self._is_stated and self._started_at is not None:
            return self._started_at
        return self._evidence.settled_until(self.memory.state, at)

    @property
    def learn(self) -> Learn:
        """What the picture just observed teaches of the zone's empty look."""
        return self._evidence.learn

    @property
    def is_changing(self) -> bool:
        """Something else than the present state shows itself; whether it lasts is to be seen."""
        return self._evidence.shown_since is not None

    def can_miss_a_look(self, at: datetime) -> bool:
        """Whether a look less would not matter: nobody is there, or somebody who moves often."""
        return not self.is_changing and self._evidence.can_miss_a_look(self.memory.state, at)

    @property
    def may_be_occupied(self) -> bool:
        """False only if the zone is known to be empty and shows nobody coming."""
        return self.memory.state is not PresenceState.EMPTY or self.is_changing

    def observe(self, reading: ZoneReading | None, at: datetime) -> list[Statement]:
        """Take in the reading of the frame of `at`."""
        statements = self._bridge_gap(at)
        self._count_time(at, is_seen=reading is not None)
        if reading is None:
            statements += self._lose(at, at)
        else:
            statements += self._weigh(reading, at)
        return statements + self._state_again(reading, at)

    def lose_sight(self, since: datetime, at: datetime) -> list[Statement]:
        """Nothing has been seen since then; `at` is when this became clear. May be repeated."""
        statements = self._bridge_gap(at) + self._lose(since, at)
        self._count_time(at, is_seen=False)
        return statements + self._state_again(None, at)

    def stay_at(self, at: datetime) -> UUID | None:
        """The stay that feedback given now belongs to: the present one, or one that just ended."""
        memory = self.memory
        if memory.state is PresenceState.OCCUPIED:
            return memory.stay
        seen_until = memory.stay_ended_at or memory.since
        if memory.stay is None or seen_until is None or at - seen_until > FEEDBACK_WITHIN:
            return None
        return memory.stay

    @property
    def wants_look(self) -> bool:
        """Somebody is there, in a stay of which the confirmer was shown no picture yet."""
        return self.memory.state is PresenceState.OCCUPIED and not self.memory.was_looked_at

    def note_look(self) -> None:
        """The confirmer is shown the picture just observed."""
        self.memory.was_looked_at |= self.wants_look

    def confirm(self, at: datetime) -> None:
        """It saw somebody in the picture of `at`: surer, and said with the next picture.

        Nothing happens if nobody was there then, or somebody else.
        """
        memory = self.memory
        is_same = memory.since is not None and memory.since <= at
        if memory.state is PresenceState.OCCUPIED and is_same and not memory.is_confirmed:
            memory.is_confirmed = True
            self._is_news = raise_confidence(self._stated_confidence) > self._stated_confidence

    def _bridge_gap(self, at: datetime) -> list[Statement]:
        """After a restart, a long silence or a clock that was set, what lies between is unknown."""
        is_first, last_at = self._started_at is None, self.memory.last_at
        self._started_at = min(self._started_at or at, at)
        if last_at is None or not (is_first or abs(at - last_at) > MAX_GAP):
            return []
        self._was_seen = False
        if at < last_at:
            self._forget_the_future(at)
        return self._lose(min(last_at, at), at)

    def _forget_the_future(self, at: datetime) -> None:
        """The clock was set back: nothing began after now, and statements must not wait for it."""
        memory = self.memory
        memory.since = memory.since and min(memory.since, at)
        memory.stated_at = memory.stated_at and min(memory.stated_at, at)
        memory.stay_ended_at = memory.stay_ended_at and min(memory.stay_ended_at, at)

    def _count_time(self, at: datetime, *, is_seen: bool) -> None:
        """What lies between two seen frames was observed."""
        memory = self.memory
        if self._was_seen and is_seen and memory.last_at is not None:
            memory.observed += at - memory.last_at
        memory.last_at, self._was_seen = at, is_seen

    def _lose(self, since: datetime, at: datetime) -> list[Statement]:
        self._evidence = ZoneEvidence()
        if self.memory.state is PresenceState.UNKNOWN:
            self.memory.since = self.memory.since or since
            return []
        return self._change(Verdict(PresenceState.UNKNOWN, since), at, reading=None)

    def _weigh(self, reading: ZoneReading, at: datetime) -> list[Statement]:
        memory = self.memory
        memory.since = memory.since or at
        verdict = self._evidence.weigh(reading, memory.state, at)
        return [] if verdict is None else self._change(verdict, at, reading)

    def _change(
        self, verdict: Verdict, at: datetime, reading: ZoneReading | None
    ) -> list[Statement]:
        memory, state = self.memory, verdict.state
        since = max(verdict.since, memory.since or verdict.since)
        said = self._say_unknown_before(since, at)
        if state is PresenceState.OCCUPIED:
            self._begin_stay(since)
        elif state is PresenceState.EMPTY and memory.stay_ended_at is None:
            # Out of a short unknown the stay ended where it was last seen.
            was_unknown = memory.state is PresenceState.UNKNOWN
            memory.stay_ended_at = memory.since if was_unknown else since
        memory.state, memory.since = state, since
        return [*said, self._say(reading, at)]

    def _say_unknown_before(self, since: datetime, at: datetime) -> list[Statement]:
        """Nothing was said yet of the time between the start and the first state."""
        is_due = not self._is_stated and self._started_at is not None and self._started_at < since
        return [self._say(None, at)] if is_due else []

    def _begin_stay(self, since: datetime) -> None:
        """A stay survives a short unknown; otherwise a new one begins."""
        memory = self.memory
        is_open = memory.stay is not None and memory.stay_ended_at is None
        if is_open and memory.since is not None and since - memory.since <= RESUME_WITHIN:
            return
        is_citizen = self.zone.role is ZoneRole.CITIZEN
        memory.stay, memory.stay_ended_at = (self._new_id() if is_citizen else None), None
        memory.was_looked_at = memory.is_confirmed = False

    def _state_again(self, reading: ZoneReading | None, at: datetime) -> list[Statement]:
        """The first statement, as soon as something can be said, and then one in five minutes."""
        memory = self.memory
        if not self._is_stated:
            started_at = self._started_at or at
            is_unsure = reading is None or not reading.is_calibrated
            is_due = is_unsure or at - started_at >= START_GRACE
        else:
            is_old = memory.stated_at is not None and at - memory.stated_at >= REPEAT_EVERY
            is_due = is_old or self._is_news
        return [self._say(reading, at)] if is_due else []

    def _say(self, reading: ZoneReading | None, at: datetime) -> Statement:
        memory = self.memory
        span = at - (memory.stated_at or self._started_at or at)
        seen = memory.observed / span if span > timedelta() else float(reading is not None)
        is_unknown = memory.state is PresenceState.UNKNOWN
        lasts = is_unknown and memory.since is not None and at - memory.since <= RESUME_WITHIN
        is_open = memory.stay_ended_at is None and (lasts or not is_unknown)
        data = PresenceObserved(
            zone=self.zone.name,
            role=self.zone.role,
            state=memory.state,
            since=memory.since or at,
            confidence=self._confidence(reading, at),
            observed_share=round(max(0.0, min(1.0, seen)), 3),
            session_id=memory.stay if is_open else None,
        )
        memory.stated_at, memory.observed = at, timedelta()
        self._is_stated, self._stated_confidence, self._is_news = True, data.confidence, False
        return Statement(self._desk, at, data)

    def _confidence(self, reading: ZoneReading | None, at: datetime) -> float:
        sure = self._evidence.confidence(self.memory.state, reading, at)
        is_raised = self.memory.is_confirmed and self.memory.state is PresenceState.OCCUPIED
        return raise_confidence(sure) if is_raised and reading is not None else sure
