"""One desk over time: statements in order become sessions, flags and what of a day was observed.

Pure fold: the same statements in the same order give the same result, however they were batched.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from central_server.domain import conditions, sessions
from central_server.domain.desk_state import Camera, Desk, DeskDay, Frame
from central_server.domain.flags import Place
from central_server.domain.presence import (
    OLDEST_SINCE,
    Statement,
    Zone,
    is_observed,
    officer_state,
    settle_since,
)
from central_server.domain.sessions import Session, Sight
from event_protocol.events import CameraState, PresenceState, ZoneRole

_SIGHTS = {
    PresenceState.OCCUPIED: Sight.OFFICER_PRESENT,
    PresenceState.EMPTY: Sight.OFFICER_ABSENT,
    PresenceState.UNKNOWN: Sight.NOT_OBSERVED,
}


def observe(desk: Desk, frame: Frame, statement: Statement) -> None:
    """Takes in what was said of one zone, by a clock that can be believed."""
    zone = desk.zones.get(statement.zone)
    since, is_believed = settle_since(statement, zone)
    if zone is not None and _is_repetition(desk, zone, statement):
        zone.stated_at = statement.at
    else:
        count_until(desk, frame, since)
        _move(desk, frame, statement, since, is_believed=is_believed)
    count_until(desk, frame, statement.at)
    conditions.watch(desk, frame, moved_at=since, at=statement.at, sequence=statement.sequence)


def observe_distrusted(desk: Desk, frame: Frame, statement: Statement) -> None:
    """A statement by a wrong clock: stays begin and end by it, but nothing is counted or claimed.

    The zone stays unknown until a statement by a right clock.
    """
    session, zone = desk.sessions.get(statement.zone), desk.zones.get(statement.zone)
    is_stay = statement.state is PresenceState.OCCUPIED and statement.role is ZoneRole.CITIZEN
    goes_on = session is not None and statement.session_id in (None, session.session_id)
    if is_stay != goes_on and statement.state is not PresenceState.UNKNOWN:
        at = min(statement.since, statement.at) if zone is None else zone.stated_at
        _move(desk, frame, statement, at, is_believed=False)
        desk.zones[statement.zone].state = PresenceState.UNKNOWN
        _advance_all(desk, frame, at)


def observe_camera(
    desk: Desk,
    frame: Frame,
    name: str,
    state: CameraState,
    *,
    since: datetime,
    at: datetime,
    sequence: int,
    told: dict[str, Any],
) -> None:
    """A picture in doubt makes the desk unknown at once; what its zones say next is known again."""
    since = min(max(since, at - OLDEST_SINCE), at)
    count_until(desk, frame, since)
    if state is not CameraState.OK:
        _lose_sight(desk, frame, since)
    count_until(desk, frame, at)
    desk.cameras[name] = Camera(state, since, sequence, told)
    conditions.watch(desk, frame, moved_at=since, at=at, sequence=sequence)


def read_fault(data: Mapping[str, Any]) -> dict[str, Any]:
    """What `camera.observed` says besides the state, by the names of a flag's facts."""
    shift = data.get("shift")
    told = {
        "fault_detail": data.get("detail"),
        "shift_px": shift and [shift["right"], shift["down"]],
    }
    return {name: value for name, value in told.items() if value is not None}


def interrupt(desk: Desk, frame: Frame, at: datetime, *, distrusted: bool = False) -> None:
    """Nothing is known of the desk from `at` on: a gap, a restart, a clock that can't be right."""
    count_until(desk, frame, at)
    desk.cameras.clear()
    _lose_sight(desk, frame, at)
    for session in desk.sessions.values():
        if distrusted and sessions.distrust(session):
            frame.changed(session)
    conditions.end_all(desk, frame, at)


def restart(desk: Desk, frame: Frame, at: datetime) -> None:
    """The agent starts anew and will state every zone that it still has."""
    interrupt(desk, frame, at)
    desk.zones = {name: zone for name, zone in desk.zones.items() if name in desk.sessions}


def restart_clock(desk: Desk, at: datetime) -> None:
    """The device's clock was set back: from now on time is counted from `at`."""
    desk.cursor = at
    for zone in desk.zones.values():
        zone.since = zone.stated_at = at


def close(desk: Desk, frame: Frame, at: datetime) -> None:
    """The stream is over: what was under way ends as not observed."""
    interrupt(desk, frame, at)
    for session in list(desk.sessions.values()):
        _end_session(desk, frame, session, at)


def note_slip(desk: Desk, frame: Frame, text: str, session_id: str | None) -> None:
    """An appointment slip belongs to the session it names, or to the only one there."""
    named = [s for s in desk.sessions.values() if session_id in (None, s.session_id)]
    if len(named) == 1 and named[0].slip != text:
        named[0].slip = text
        frame.changed(named[0])


def count_until(desk: Desk, frame: Frame, until: datetime) -> None:
    """Counts the time since the cursor under what is known now; never goes back."""
    begin = desk.cursor
    if begin is None or until > begin:
        desk.cursor = until
    if begin is None or until <= begin:
        return
    officer = _SIGHTS[officer_state(desk.zones.values())]
    seconds = (until - begin).total_seconds()
    has_officer_zone = desk.has_officer_zone
    for session in desk.sessions.values():
        known = desk.zones[session.zone].state is not PresenceState.UNKNOWN
        # Without an officer zone nothing that could be seen of the stay was missed.
        if not known or has_officer_zone:
            sessions.count(session, seconds, officer, zone_known=known)
    _count_days(desk, frame, begin, until, officer)


def _count_days(desk: Desk, frame: Frame, begin: datetime, until: datetime, officer: Sight) -> None:
    observed, has_officer_zone = is_observed(desk.zones.values()), desk.has_officer_zone
    _, calendar = frame.rules_at(begin)
    first = calendar.local_day(begin)
    for passed in [day for day in desk.days if day < first]:
        del desk.days[passed]
    for opens, closes in calendar.opening(begin, until):
        day = calendar.local_day(opens)
        tally = desk.days.get(day)
        if tally is None:
            whole = sum((b - a).total_seconds() for a, b in calendar.day(day))
            tally = desk.days[day] = DeskDay(whole)
        seconds = (closes - opens).total_seconds()
        if observed:
            tally.observed_s += seconds
        if has_officer_zone:
            present_s = seconds if officer is Sight.OFFICER_PRESENT else 0.0
            tally.officer_present_s = (tally.officer_present_s or 0.0) + present_s
        frame.changes.days[frame.desk, day] = tally


def _is_repetition(desk: Desk, zone: Zone, statement: Statement) -> bool:
    if zone.state is not statement.state or zone.role is not statement.role:
        return False
    session = desk.sessions.get(statement.zone)
    names_other = session is not None and statement.session_id not in (None, session.session_id)
    return not (names_other and statement.state is PresenceState.OCCUPIED)


def _move(
    desk: Desk, frame: Frame, statement: Statement, since: datetime, *, is_believed: bool
) -> None:
    """The zone changes its state at `since`: stays end and begin, and the others see it."""
    before, session = desk.zones.get(statement.zone), desk.sessions.get(statement.zone)
    is_stay = statement.state is PresenceState.OCCUPIED and statement.role is ZoneRole.CITIZEN
    if session is not None and statement.state is not PresenceState.UNKNOWN:
        if is_stay and statement.session_id in (None, session.session_id):
            sessions.settle(session)
        else:
            _end_session(desk, frame, session, since)
    desk.zones[statement.zone] = Zone(
        statement.role, statement.state, since, statement.at, statement.sequence
    )
    if is_stay and statement.zone not in desk.sessions:
        arrival_seen = before is not None and before.state is not PresenceState.UNKNOWN
        _begin_session(desk, frame, statement, since, arrival_seen, is_believed)
    _advance_all(desk, frame, since)


def _begin_session(
    desk: Desk,
    frame: Frame,
    statement: Statement,
    at: datetime,
    arrival_seen: bool,
    is_believed: bool,
) -> None:
    sight = _SIGHTS[officer_state(desk.zones.values())] if is_believed else Sight.NOT_OBSERVED
    session = sessions.begin(
        statement.session_id or _derived_id(frame.place, statement),
        statement.zone,
        statement.sequence,
        at,
        sight,
        arrival_seen=arrival_seen,
    )
    if not is_believed:
        sessions.distrust(session)
    desk.sessions[statement.zone] = session
    frame.changed(session)


def _lose_sight(desk: Desk, frame: Frame, at: datetime) -> None:
    for zone in desk.zones.values():
        if zone.state is not PresenceState.UNKNOWN:
            zone.state, zone.since = PresenceState.UNKNOWN, max(at, zone.since)
    _advance_all(desk, frame, at)


def _advance_all(desk: Desk, frame: Frame, at: datetime) -> None:
    officer = _SIGHTS[officer_state(desk.zones.values())]
    for session in desk.sessions.values():
        is_unknown = desk.zones[session.zone].state is PresenceState.UNKNOWN
        if sessions.advance(session, Sight.NOT_OBSERVED if is_unknown else officer, at):
            frame.changed(session)


def _end_session(desk: Desk, frame: Frame, session: Session, at: datetime) -> None:
    """Out of an unknown the stay ended where it was last seen."""
    del desk.sessions[session.zone]
    zone = desk.zones[session.zone]
    seen = zone.state is not PresenceState.UNKNOWN
    rules, _ = frame.rules_at(session.arrived_at)
    sessions.end(
        session,
        at if seen else zone.since,
        seen=seen,
        abandoned_after_s=rules.rules.abandoned_session.threshold_s,
    )
    frame.changed(session)
    conditions.end_session(desk, frame, session)


def _derived_id(place: Place, statement: Statement) -> str:
    """A stay that the device did not name is named by the statement that began it."""
    origin = f"{place.device}|{place.epoch}|{statement.sequence}"
    return str(uuid5(NAMESPACE_URL, f"urn:onestop:session:{origin}"))
