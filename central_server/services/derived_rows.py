"""From the domain's forms to rows of the derived tables. No queries, no decisions."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from central_server.domain.desk_state import DeskDay
from central_server.domain.feedback import Matched, Opened
from central_server.domain.flags import REGISTRY, Flag, Place
from central_server.domain.sessions import Session, figures
from event_protocol.feedback import clean_text

Row = dict[str, Any]
# What a decision changes; deriving a flag again leaves it.
DECISION = ("taken_by", "decided_at", "decision_reason")


def session_row(session: Session, desk: str, place: Place) -> Row:
    """One `service_session`."""
    known = figures(session)
    return {
        "session_id": session.session_id,
        "device": place.device,
        "epoch": place.epoch,
        "sequence": session.sequence,
        "desk": desk,
        "unit_id": place.unit_id,
        "state": session.state.value,
        "arrived_at": session.arrived_at,
        "service_started_at": session.service_started_at,
        "ended_at": session.ended_at,
        "wait_s": known.wait_s,
        "service_s": known.service_s,
        "officer_absent_s": known.officer_absent_s,
        "unobserved_s": known.unobserved_s,
        "certainty": known.certainty,
        "slip": _storable(session.slip),
        "clock_suspect": session.clock_suspect,
    }


def desk_day_row(day: date, tally: DeskDay, desk: str, place: Place) -> Row:
    """One `desk_day`."""
    present_s = tally.officer_present_s
    return {
        "desk": desk,
        "day": day,
        "device": place.device,
        "epoch": place.epoch,
        "unit_id": place.unit_id,
        "opening_s": tally.opening_s,
        "observed_s": round(tally.observed_s, 3),
        "officer_present_s": None if present_s is None else round(present_s, 3),
    }


def flag_row(flag: Flag, decided: Mapping[str, Any] | None) -> Row:
    """One `flag`, with what people decided on its former form, if there was one."""
    decision = {name: decided[name] if decided else None for name in DECISION}
    return {
        "flag_id": flag.flag_id,
        "rule": flag.rule,
        "rules_hash": flag.rules_hash,
        "severity": flag.severity.value,
        "device": flag.place.device,
        "epoch": flag.place.epoch,
        "desk": flag.place.desk,
        "unit_id": flag.place.unit_id,
        "session_id": flag.session_id,
        "feedback_id": flag.feedback_id,
        "begin": flag.begin,
        "end": flag.end,
        "facts": flag.facts,
        "state": "withdrawn" if flag.withdrawn else decided_state(decision),
        **decision,
        "inspection_only": REGISTRY[flag.rule].inspection_only,
        "log_sequence": None,
    }


def decided_state(row: Mapping[str, Any]) -> str:
    """What the decisions on a flag say; withdrawn is not theirs to say."""
    if row["decision_reason"] is not None:
        return "dismissed"
    return "open" if row["taken_by"] is None else "taken"


def feedback_row(
    feedback_id: str,
    channel: str,
    place: Place,
    quarter_at: datetime,
    opened: Opened | None,
    matched: Matched,
    unreadable: str | None,
) -> Row:
    """One `feedback`. The exact time stands only while the match is pending, the session only for
    a complaint: beside a camera's picture either would name the citizen.
    """
    content = None if opened is None else opened.content
    is_pending = matched.match.value == "pending"
    is_complaint = opened is not None and opened.is_complaint
    return {
        "feedback_id": feedback_id,
        "channel": channel,
        "desk": place.desk,
        "unit_id": place.unit_id,
        "quarter_at": quarter_at,
        "exact_at": content.at if content and is_pending else None,
        "rating": content and content.rating,
        "reasons": [reason.value for reason in content.reasons] if content else [],
        "comment": _storable(content.comment if content else None),
        "contact": _storable(content.contact if content else None),
        "survey": dict(content.survey) if content else {},
        "match": matched.match.value,
        "session_id": matched.session_id if is_complaint else None,
        "weight": matched.weight,
        "is_complaint": is_complaint,
        "receipt_hash": content and content.receipt_hash,
        "unreadable": unreadable,
    }


def _storable(text: str | None) -> str | None:
    """What a citizen shows or types must not hold up a desk: PostgreSQL refuses U+0000."""
    return None if text is None else clean_text(text)
