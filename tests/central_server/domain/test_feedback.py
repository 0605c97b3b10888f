"""What was said in the end, which session is meant, and what becomes of a complaint."""

from datetime import datetime, timedelta

import pytest

from central_server.domain.feedback import (
    UNMATCHED,
    WEIGHT_NAMED,
    WEIGHTS,
    Match,
    Matched,
    Opened,
    Stay,
    complaint_flag,
    fold_versions,
    gravest,
    match,
)
from central_server.domain.flags import Flag, Place
from central_server.domain.rules import Severity, parse_rules
from event_protocol.feedback import ComplaintReason, FeedbackContent
from tests.central_server.domain.stories import RULES, RULES_FILE, minute

AT = minute(60)
MONEY, OTHER = ComplaintReason.ASKED_FOR_MONEY, ComplaintReason.OTHER


def said(
    rating: int | None = None, *reasons: ComplaintReason, after_s: float = 0, **words: str
) -> FeedbackContent:
    at = AT + timedelta(seconds=after_s)
    return FeedbackContent(salt="0" * 32, at=at, rating=rating, reasons=reasons, **words)


def test_the_rating_can_be_changed_for_two_minutes() -> None:
    assert fold_versions([said(1), said(5, after_s=120)]).content.rating == 5
    late = fold_versions([said(4), said(1, OTHER, after_s=121, comment="words")])
    assert (late.content.rating, late.content.comment, late.is_complaint) == (4, "words", True)
    assert late.content.at == AT


def test_what_names_the_session_and_the_receipt_stays() -> None:
    first = said(4, receipt_hash="r", session_id="00000000-0000-0000-0000-000000000001")
    content = fold_versions([first, said(5, after_s=9)]).content
    assert (content.receipt_hash, content.session_id) == ("r", first.session_id)


def stay(name: str, begin: float, end: float | None) -> Stay:
    return Stay(name, minute(begin), None if end is None else minute(end))


NOW_THERE, JUST_GONE = stay("there", 50, None), stay("gone", 40, 57)
LONG_GONE, LATER = stay("long gone", 30, 56.9), stay("later", 61, None)


@pytest.mark.parametrize(
    ("stays", "outcome", "session"),
    [
        ([NOW_THERE, LONG_GONE, LATER], Match.MATCHED, "there"),
        ([JUST_GONE, LONG_GONE], Match.MATCHED, "gone"),
        ([NOW_THERE, JUST_GONE], Match.AMBIGUOUS, None),
        ([LONG_GONE, LATER], Match.UNMATCHED, None),
        ([], Match.UNMATCHED, None),
    ],
)
def test_match_by_time(stays: list[Stay], outcome: Match, session: str | None) -> None:
    assert match(AT, None, stays, minute(63)) == Matched(outcome, session, WEIGHTS[outcome])


@pytest.mark.parametrize("until", [None, minute(62.9)])
def test_match_waits_for_the_desk(until: datetime | None) -> None:
    assert match(AT, None, [NOW_THERE], until).match is Match.PENDING
    assert match(AT, "gone", [NOW_THERE], until).match is Match.PENDING


def test_a_named_session_need_not_wait() -> None:
    named = Matched(Match.MATCHED, "long gone", WEIGHT_NAMED)
    assert match(AT, "long gone", [NOW_THERE, LONG_GONE], None) == named
    assert match(AT, "never came", [NOW_THERE], minute(63)).session_id == "there"


def flag_of(opened: Opened, matched: Matched = UNMATCHED) -> Flag | None:
    place = Place("unit-a", None, None, "desk-1")
    return complaint_flag("f-1", "phone", AT, opened, matched, place, RULES)


def test_a_plain_rating_is_no_flag() -> None:
    assert flag_of(fold_versions([said(4)])) is None


def test_a_complaint_is_a_flag_with_its_session() -> None:
    matched = Matched(Match.MATCHED, "there", 1.0)
    flag = flag_of(fold_versions([said(2, OTHER, MONEY, comment="secret")]), matched)
    assert flag is not None
    assert (flag.severity, flag.session_id, flag.feedback_id) == (
        Severity.CRITICAL,
        "there",
        "f-1",
    )
    assert (flag.begin, flag.end, flag.withdrawn) == (AT, AT, False)
    assert flag.facts == {
        "channel": "phone",
        "rating": 2,
        "reasons": ["other", "asked_for_money"],
        "match": "matched",
    }


def test_a_complaint_taken_back_is_withdrawn_and_not_lost() -> None:
    flag = flag_of(fold_versions([said(1), said(5, after_s=30)]))
    assert flag is not None
    assert (flag.withdrawn, flag.facts["rating"]) == (True, 1)


def test_complaints_may_be_switched_off() -> None:
    text = RULES_FILE.read_text(encoding="utf-8")
    off = parse_rules(text.replace("complaint:\n", "complaint:\n    enabled: false\n"), "f")
    opened = fold_versions([said(1)])
    assert complaint_flag("f", "phone", AT, opened, UNMATCHED, Place("u"), off) is None


def test_gravest() -> None:
    rule = RULES.rules.complaint
    assert gravest([], rule) is Severity.MINOR
    assert gravest([OTHER, ComplaintReason.ATTITUDE], rule) is Severity.MAJOR
    assert gravest([ComplaintReason.ATTITUDE, MONEY, OTHER], rule) is Severity.CRITICAL
