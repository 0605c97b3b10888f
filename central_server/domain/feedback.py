"""Feedback: its versions become one content, which meets a session if it can and is weighed. Pure.

The result depends on what is known in the end and not on what arrived first: versions are folded in
their own order, and the match is made anew whenever a version, or a session that it may belong to,
arrives. It waits until the desk is projected beyond the time at which the citizen spoke.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from central_server.domain.custody_log import ErasedForm, FeedbackErased
from central_server.domain.flags import Flag, Place, raise_flag
from central_server.domain.rules import ComplaintRule, RuleSet, Severity
from event_protocol.feedback import (
    AMENDABLE_FOR_S,
    ComplaintReason,
    FeedbackContent,
    is_complaint,
)

MATCH_AFTER = timedelta(minutes=3)  # an ended session is still meant for so long
_AMENDABLE_FOR = timedelta(seconds=AMENDABLE_FOR_S)
_NO_SALT = "0" * 32  # of a content that no digest names any more
_GRAVITY = {Severity.MINOR: 0, Severity.MAJOR: 1, Severity.CRITICAL: 2}


class Match(StrEnum):
    """Whether feedback has met a session."""

    PENDING = "pending"
    MATCHED = "matched"
    AMBIGUOUS = "ambiguous"
    UNMATCHED = "unmatched"


# How much a rating counts in figures: full where the desk's own screen or kiosk named the session;
# less the less it is tied to somebody who was seen. Conventions, not measurements.
WEIGHT_NAMED = 1.0
WEIGHTS = {Match.PENDING: 0.4, Match.MATCHED: 0.8, Match.AMBIGUOUS: 0.6, Match.UNMATCHED: 0.4}


@dataclass(frozen=True, slots=True)
class Stay:
    """What matching needs of a session."""

    session_id: str
    arrived_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Matched:
    """The match, the session if there is exactly one, and the weight."""

    match: Match
    session_id: str | None
    weight: float


@dataclass(frozen=True, slots=True)
class Opened:
    """What was said in the end, and every form in which it was a complaint on the way."""

    content: FeedbackContent
    complaints: tuple[FeedbackContent, ...]

    @property
    def is_complaint(self) -> bool:
        """Whether it is one as it stands."""
        return is_complaint(self.content.rating, self.content.reasons)


def fold_versions(versions: Sequence[FeedbackContent]) -> Opened:
    """First tap and amendments in their order; each replaces the former.

    The rating can be changed for two minutes after the first tap; later, words still count.
    """
    content = versions[0]
    complaints = [content] if is_complaint(content.rating, content.reasons) else []
    for version in versions[1:]:
        is_late = version.at - versions[0].at > _AMENDABLE_FOR
        amended = version.model_copy(
            update={
                "at": versions[0].at,
                "rating": content.rating if is_late else version.rating,
                "session_id": versions[0].session_id or version.session_id,
                "receipt_hash": version.receipt_hash or content.receipt_hash,
            }
        )
        content = amended
        if is_complaint(content.rating, content.reasons):
            complaints.append(content)
    return Opened(content, tuple(complaints))


def match(
    at: datetime, named: str | None, stays: Iterable[Stay], projected_until: datetime | None
) -> Matched:
    """The session that is meant: the one named, else the only one there or just ended.

    `stays` are the desk's; `projected_until` is the event time up to which they are known.
    """
    known = list(stays)
    if named is not None and any(stay.session_id == named for stay in known):
        return Matched(Match.MATCHED, named, WEIGHT_NAMED)
    if projected_until is None or projected_until < at + MATCH_AFTER:
        return Matched(Match.PENDING, None, WEIGHTS[Match.PENDING])
    near = [stay for stay in known if _is_near(stay, at)]
    if len(near) == 1:
        return Matched(Match.MATCHED, near[0].session_id, WEIGHTS[Match.MATCHED])
    outcome = Match.AMBIGUOUS if near else Match.UNMATCHED
    return Matched(outcome, None, WEIGHTS[outcome])


UNMATCHED = Matched(Match.UNMATCHED, None, WEIGHTS[Match.UNMATCHED])


def recall(erased: FeedbackErased, quarter_at: datetime) -> tuple[Opened, Matched]:
    """What is left of feedback that was erased: enough for figures and its flag."""
    content = _recall_form(erased.last, quarter_at).model_copy(update={"survey": erased.survey})
    complaints = tuple(_recall_form(form, quarter_at) for form in erased.complaints)
    return Opened(content, complaints), Matched(Match(erased.match), None, erased.weight)


def _recall_form(form: ErasedForm, quarter_at: datetime) -> FeedbackContent:
    return FeedbackContent(salt=_NO_SALT, at=quarter_at, rating=form.rating, reasons=form.reasons)


def _is_near(stay: Stay, at: datetime) -> bool:
    return stay.arrived_at <= at and (stay.ended_at is None or at <= stay.ended_at + MATCH_AFTER)


def complaint_flag(
    feedback_id: str,
    channel: str,
    quarter_at: datetime,
    opened: Opened,
    matched: Matched,
    place: Place,
    rules: RuleSet,
) -> Flag | None:
    """The complaint's flag; withdrawn if the citizen took it back within the two minutes.

    Its time is the quarter of an hour: the exact one beside a picture would name the citizen.
    """
    if not opened.complaints:
        return None
    said = opened.content if opened.is_complaint else opened.complaints[-1]
    facts: dict[str, Any] = {
        "channel": channel,
        "rating": said.rating,
        "reasons": [reason.value for reason in said.reasons],
        "match": matched.match.value,
    }
    flag = raise_flag("complaint", rules, place, (feedback_id,), quarter_at, quarter_at, facts)
    if flag is None:
        return None
    return replace(
        flag,
        severity=gravest(said.reasons, rules.rules.complaint),
        session_id=matched.session_id,
        feedback_id=feedback_id,
        withdrawn=not opened.is_complaint,
    )


def gravest(reasons: Iterable[ComplaintReason], rule: ComplaintRule) -> Severity:
    """The severity of the gravest reason, or that of a low rating alone."""
    found = [rule.reasons.get(reason, rule.severity) for reason in reasons]
    return max([rule.severity, *found], key=_GRAVITY.__getitem__)
