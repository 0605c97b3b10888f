"""A tap, a card, an amendment: what is sealed and what stays readable."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from nacl.public import PrivateKey

from edge_agent.core.feedback import (
    GivenFeedback,
    Words,
    amend_statement,
    rate,
    read_words,
    submit_statement,
)
from event_protocol.events import FeedbackAmended, FeedbackChannel, FeedbackSubmitted
from event_protocol.feedback import ComplaintReason, content_digest
from event_protocol.names import DeskId
from event_protocol.receipt_codes import hash_code, write_code
from event_protocol.sealing import sealing_key_id, unseal

AT = datetime(2026, 3, 2, 1, 7, 13, tzinfo=UTC)
DESK = DeskId("desk-1")
SESSION = UUID(int=7)
KEY = PrivateKey.generate()
PUBLIC = bytes(KEY.public_key)
PRIVATE = {sealing_key_id(PUBLIC): bytes(KEY)}


def test_a_tap_is_sealed_and_only_its_digest_is_readable() -> None:
    content = rate(2, AT, SESSION)
    statement = submit_statement(DESK, FeedbackChannel.KIOSK, content, PUBLIC)
    assert (statement.desk, statement.at) == (DESK, AT)
    assert statement.data == FeedbackSubmitted(
        channel=FeedbackChannel.KIOSK, digest=content_digest(content)
    )
    assert statement.sealed is not None
    assert unseal(statement.sealed, content_digest(content), PRIVATE) == content


def test_an_amendment_holds_everything_and_keeps_time_and_session() -> None:
    first = GivenFeedback(uuid4(), DESK, rate(2, AT, SESSION))
    words = Words(None, (ComplaintReason.ATTITUDE,), "slow", None)
    content = first.amended(words).content
    assert (content.rating, content.at, content.session_id) == (2, AT, SESSION)
    assert (content.comment, content.reasons) == ("slow", (ComplaintReason.ATTITUDE,))
    assert content.salt != first.content.salt
    assert first.amended(Words(rating=5)).content.rating == 5
    statement = amend_statement(DESK, FeedbackChannel.KIOSK, content, first.event_id, PUBLIC)
    assert isinstance(statement.data, FeedbackAmended)
    assert statement.data.amends == first.event_id
    assert statement.sealed is not None
    assert unseal(statement.sealed, statement.data.digest, PRIVATE) == content


@pytest.mark.parametrize(("after_s", "may"), [(0, True), (120, True), (120.1, False)])
def test_two_minutes_to_amend(after_s: float, may: bool) -> None:
    given = GivenFeedback(uuid4(), DESK, rate(3, AT, None))
    assert given.may_amend(AT + timedelta(seconds=after_s)) is may


def test_a_complaint_gets_one_receipt_and_keeps_it() -> None:
    plain = GivenFeedback(uuid4(), DESK, rate(5, AT, SESSION))
    assert plain.with_receipt(b"x" * 15) is plain
    complaint = plain.amended(Words(reasons=(ComplaintReason.OTHER,))).with_receipt(b"x" * 15)
    assert complaint.receipt_code == write_code(b"x" * 15)
    assert complaint.content.receipt_hash == hash_code(write_code(b"x" * 15))
    assert complaint.with_receipt(b"y" * 15) is complaint
    taken_back = complaint.amended(Words(rating=5))
    assert taken_back.content.receipt_hash == complaint.content.receipt_hash


def test_a_forms_fields_are_cut_and_cleaned_never_refused() -> None:
    words = read_words("6", ["other", "other", "?"], "x" * 9000, "  ")
    assert words == Words(None, (ComplaintReason.OTHER,), "x" * 4000, None)
    assert read_words("1", (), " a ", "b" * 900) == Words(1, (), "a", "b" * 200)
