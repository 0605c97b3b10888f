"""Service sessions: what may follow what, and what a stay's figures are. Pure, and knows no zone.

All transitions live in the two tables below and nowhere else; a pair that is missing can't happen,
and asking for it is an error. A state speaks of what was *observed*: without a trusted view of the
citizen's and the officer's place nothing is claimed, and the session is uncertain until service is
seen. `uncertain` is also a final state; a session is over once `ended_at` is set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# An arrival or an end that nobody saw halves how sure the stay's lengths are.
_UNSEEN_END = 0.5


class SessionState(StrEnum):
    """Where a stay stands, as far as it was observed."""

    WAITING = "waiting"  # citizen there, officer observed to be away ever since the arrival
    SERVING = "serving"  # both seen; it stays so while the officer is briefly away
    ENDED = "ended"  # the citizen left after service
    ABANDONED = "abandoned"  # left without: the officer was observed to be away all along
    UNCERTAIN = "uncertain"  # something that matters was not observed


class Sight(StrEnum):
    """What is seen of a stay: the inputs of the table."""

    OFFICER_PRESENT = "officer_present"
    OFFICER_ABSENT = "officer_absent"
    NOT_OBSERVED = "not_observed"
    LEFT_SERVED = "left_served"
    LEFT_UNSERVED = "left_unserved"
    LEFT_SOON = "left_soon"  # without service, and sooner than an abandoned session lasts


class ImpossibleSightError(ValueError):
    """A session was shown what can't follow its state: our own fault."""


OPENING: Mapping[Sight, SessionState] = {
    Sight.OFFICER_PRESENT: SessionState.SERVING,
    Sight.OFFICER_ABSENT: SessionState.WAITING,
    Sight.NOT_OBSERVED: SessionState.UNCERTAIN,
}

TRANSITIONS: Mapping[SessionState, Mapping[Sight, SessionState]] = {
    SessionState.WAITING: {
        Sight.OFFICER_PRESENT: SessionState.SERVING,
        Sight.OFFICER_ABSENT: SessionState.WAITING,
        Sight.NOT_OBSERVED: SessionState.UNCERTAIN,
        Sight.LEFT_UNSERVED: SessionState.ABANDONED,
        Sight.LEFT_SOON: SessionState.UNCERTAIN,
    },
    SessionState.SERVING: {
        Sight.OFFICER_PRESENT: SessionState.SERVING,
        Sight.OFFICER_ABSENT: SessionState.SERVING,
        Sight.NOT_OBSERVED: SessionState.UNCERTAIN,
        Sight.LEFT_SERVED: SessionState.ENDED,
    },
    SessionState.UNCERTAIN: {
        Sight.OFFICER_PRESENT: SessionState.SERVING,
        Sight.OFFICER_ABSENT: SessionState.UNCERTAIN,
        Sight.NOT_OBSERVED: SessionState.UNCERTAIN,
        Sight.LEFT_SERVED: SessionState.ENDED,
        Sight.LEFT_UNSERVED: SessionState.UNCERTAIN,
        Sight.LEFT_SOON: SessionState.UNCERTAIN,
    },
    SessionState.ENDED: {},
    SessionState.ABANDONED: {},
}


@dataclass(slots=True)
class Session:
    """One stay; the `…_s` accumulators count observed seconds and are figures once it is over."""

    session_id: str
    zone: str
    sequence: int  # of the event that opened it
    arrived_at: datetime
    state: SessionState
    arrival_seen: bool  # the zone was seen empty, or with somebody else, before
    service_started_at: datetime | None = None
    ended_at: datetime | None = None
    end_seen: bool = True
    waited_s: float | None = None  # observed without a break, or `None`
    served_s: float = 0.0
    absent_s: float = 0.0
    unobserved_s: float = 0.0
    unsettled_s: float = 0.0  # zone unknown; part of the stay only if the same stay goes on
    officer_known: bool = False
    slip: str | None = None
    clock_suspect: bool = False


def begin(
    session_id: str, zone: str, sequence: int, at: datetime, sight: Sight, *, arrival_seen: bool
) -> Session:
    """A stay begins; if its arrival was not seen, no wait is claimed for it."""
    first = sight
    if sight is Sight.OFFICER_ABSENT and not arrival_seen:
        first = Sight.NOT_OBSERVED
    session = Session(session_id, zone, sequence, at, OPENING[first], arrival_seen)
    if session.state is SessionState.SERVING:
        session.service_started_at = at
        session.waited_s = 0.0 if arrival_seen else None
    return session


def advance(session: Session, sight: Sight, at: datetime) -> bool:
    """Moves the session on; whether that changed it. Raises `ImpossibleSightError`."""
    before = session.state
    try:
        session.state = TRANSITIONS[before][sight]
    except KeyError as error:
        raise ImpossibleSightError(f"{sight.value} can't follow {before.value}") from error
    if session.state is SessionState.SERVING and session.service_started_at is None:
        session.service_started_at = max(at, session.arrived_at)
        if before is SessionState.WAITING:
            session.waited_s = _seconds(session.arrived_at, session.service_started_at)
    return session.state is not before


def end(session: Session, at: datetime, *, seen: bool, abandoned_after_s: float) -> None:
    """The citizen left at `at`, or (not `seen`) was seen for the last time then."""
    session.ended_at = max(at, session.arrived_at)
    session.end_seen = seen
    session.unsettled_s = 0.0
    stay_s = _seconds(session.arrived_at, session.ended_at)
    if session.service_started_at is not None:
        advance(session, Sight.LEFT_SERVED, at)
    elif stay_s < abandoned_after_s:
        advance(session, Sight.LEFT_SOON, at)
    else:
        advance(session, Sight.LEFT_UNSERVED, at)
    if session.state is SessionState.ABANDONED:
        session.waited_s = stay_s


def count(session: Session, seconds: float, sight: Sight, *, zone_known: bool) -> None:
    """Adds that many seconds during which that was seen."""
    if not zone_known:
        session.unsettled_s += seconds
    elif sight is Sight.OFFICER_PRESENT:
        session.served_s += seconds
    elif sight is Sight.OFFICER_ABSENT:
        session.absent_s += seconds
    else:
        session.unobserved_s += seconds
    session.officer_known |= zone_known and sight is not Sight.NOT_OBSERVED


def settle(session: Session) -> None:
    """The same stay is seen again: what was not seen in between belongs to it."""
    session.unobserved_s += session.unsettled_s
    session.unsettled_s = 0.0


def distrust(session: Session) -> bool:
    """The device's clock was wrong during this stay: no length is claimed; whether that is new."""
    is_new = not session.clock_suspect
    session.clock_suspect = True
    session.waited_s = None
    return is_new


@dataclass(frozen=True, slots=True)
class Figures:
    """What may be said of a stay's lengths; `None` where it is not known (yet)."""

    wait_s: float | None
    service_s: float | None
    officer_absent_s: float | None
    unobserved_s: float
    certainty: float


def figures(session: Session) -> Figures:
    """The wait is known from service start on, the rest once the stay is over.

    Certainty is the observed share of the stay, halved for an arrival and for an end that nobody
    saw, and nought if the clock was wrong. It says how much was watched, not how likely it is.
    """
    if session.clock_suspect:
        unobserved_s = 0.0 if session.ended_at is None else round(session.unobserved_s, 3)
        return Figures(None, None, None, unobserved_s, 0.0)
    certainty = (1.0 if session.arrival_seen else _UNSEEN_END) * (
        1.0 if session.end_seen else _UNSEEN_END
    )
    if session.ended_at is None:
        return Figures(_rounded(session.waited_s), None, None, 0.0, certainty)
    stay_s = _seconds(session.arrived_at, session.ended_at)
    if stay_s:
        certainty *= max(0.0, 1.0 - session.unobserved_s / stay_s)
    return Figures(
        wait_s=_rounded(session.waited_s),
        service_s=None if session.service_started_at is None else _rounded(session.served_s),
        officer_absent_s=_rounded(session.absent_s) if session.officer_known else None,
        unobserved_s=round(session.unobserved_s, 3),
        certainty=round(certainty, 3),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _seconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()
