"""The rules about a desk that hold over time: who is away, who waits, what the camera can't see.

Called after each statement. One condition is one flag with a beginning and an end; what is not
observed ends it, for nothing is claimed of a time that nobody saw.
"""

from dataclasses import replace
from datetime import datetime

from central_server.domain.desk_state import Camera, Desk, Frame
from central_server.domain.flags import Condition, judge, raise_flag
from central_server.domain.presence import officer_state
from central_server.domain.sessions import Session, SessionState
from event_protocol.events import CameraState, PresenceState

_FAULTS: dict[CameraState, str] = {
    CameraState.LOST: "camera_lost",
    CameraState.COVERED: "camera_tampered",
    CameraState.MOVED: "camera_tampered",
    CameraState.DEFOCUSED: "camera_tampered",
    CameraState.FROZEN: "camera_tampered",
    CameraState.DARK: "camera_tampered",
}
_CAMERA_RULES = sorted(set(_FAULTS.values()))


def watch(desk: Desk, frame: Frame, *, moved_at: datetime, at: datetime, sequence: int) -> None:
    """Judges all conditions as of `at`; what changed with this statement changed at `moved_at`."""
    away = officer_state(desk.zones.values()) is PresenceState.EMPTY
    kept_waiting = next(
        (s for s in desk.sessions.values() if _is_there(desk, s)) if away else iter(()), None
    )
    known = desk.conditions  # nearly always empty: then there is nothing to do but look
    if kept_waiting is not None or "officer_absent" in known:
        session_id = kept_waiting.session_id if kept_waiting else None
        began = Condition("officer_absent", moved_at, sequence, session_id)
        _follow(desk, frame, "officer_absent", began, kept_waiting is not None, moved_at, at)
    for session in desk.sessions.values():
        waits = session.state is SessionState.WAITING
        if waits or known:
            began = Condition("long_wait", session.arrived_at, session.sequence, session.session_id)
            _follow(desk, frame, _wait_key(session), began, waits, moved_at, at)
    if away or "desk_unattended" in known:
        began = Condition("desk_unattended", moved_at, sequence)
        _follow_unattended(desk, frame, began, away, moved_at, at)
    for name, camera in desk.cameras.items():
        if camera.state is not CameraState.OK or known:
            _follow_camera(desk, frame, name, camera, at)


def end_session(desk: Desk, frame: Frame, session: Session) -> None:
    """A stay is over: so is its wait, and it may have been abandoned."""
    ended_at = session.ended_at or session.arrived_at
    wait = desk.conditions.pop(_wait_key(session), None)
    if wait is not None:
        _judge(frame, wait, ended_at, is_over=True)
    if session.state is not SessionState.ABANDONED:
        return
    rules, calendar = frame.rules_at(session.arrived_at)
    open_s = calendar.open_seconds(session.arrived_at, ended_at)
    threshold_s = rules.rules.abandoned_session.threshold_s
    if open_s < threshold_s:
        return
    facts = {
        "began_with": {"epoch": frame.place.epoch, "sequence": session.sequence},
        "threshold_s": threshold_s,
        "open_s": round(open_s, 3),
        "zone": session.zone,
    }
    flag = raise_flag(
        "abandoned_session",
        rules,
        frame.place,
        (frame.place.device, frame.place.epoch, session.session_id),
        session.arrived_at,
        ended_at,
        facts,
        session_id=session.session_id,
    )
    frame.changes.add_flag(flag)


def end_all(desk: Desk, frame: Frame, at: datetime) -> None:
    """Nothing is known from `at` on."""
    for key in list(desk.conditions):
        condition = desk.conditions.pop(key)
        if condition.rule == "desk_unattended":
            _judge_parts(frame, condition, at, is_over=True)
        else:
            _judge(frame, condition, at, is_over=True)


def _follow(
    desk: Desk,
    frame: Frame,
    key: str,
    began: Condition,
    holds: bool,
    moved_at: datetime,
    at: datetime,
) -> None:
    condition = desk.conditions.get(key)
    if holds:
        if condition is None:
            condition = desk.conditions[key] = began
        _judge(frame, condition, at, is_over=False)
    elif condition is not None:
        del desk.conditions[key]
        _judge(frame, condition, moved_at, is_over=True)


def _follow_unattended(
    desk: Desk, frame: Frame, began: Condition, holds: bool, moved_at: datetime, at: datetime
) -> None:
    condition = desk.conditions.pop(began.rule, began)
    condition = _judge_parts(frame, condition, at if holds else moved_at, is_over=not holds)
    if holds:
        desk.conditions[began.rule] = condition


def _judge_parts(
    frame: Frame, condition: Condition, until: datetime, *, is_over: bool
) -> Condition:
    """An empty desk at closing time is no fault: each opening interval is judged by itself."""
    _, calendar = frame.rules_at(condition.begin)
    for opens, closes in calendar.opening(condition.begin, until):
        if condition.begin < opens:
            condition = replace(condition, begin=opens, flag=None)
        is_past = is_over or closes < until
        _judge(frame, condition, closes, is_over=is_past)
        if is_past:
            condition = replace(condition, begin=closes, flag=None)
    return condition


def _follow_camera(desk: Desk, frame: Frame, name: str, camera: Camera, at: datetime) -> None:
    fault = _FAULTS.get(camera.state)
    for rule in _CAMERA_RULES:
        key = f"{rule}:{name}"
        state = camera.state.value
        details = {"camera": name, "states": [state], **camera.told}
        began = Condition(rule, camera.since, camera.sequence, None, details)
        condition = desk.conditions.get(key, began)
        states = condition.details["states"]
        if rule == fault and state not in states:
            condition.details = {**condition.details, **camera.told, "states": [*states, state]}
            if condition.flag is not None:
                condition.flag.facts.update(condition.details)
                frame.changes.add_flag(condition.flag)
        _follow(desk, frame, key, began, rule == fault, camera.since, at)


def _judge(frame: Frame, condition: Condition, until: datetime, *, is_over: bool) -> None:
    rules, calendar = frame.rules_at(condition.begin)
    until = max(until, condition.begin)
    frame.changes.add_flag(judge(condition, until, rules, calendar, frame.place, is_over=is_over))


def _is_there(desk: Desk, session: Session) -> bool:
    return desk.zones[session.zone].state is PresenceState.OCCUPIED


def _wait_key(session: Session) -> str:
    return f"long_wait:{session.session_id}"
