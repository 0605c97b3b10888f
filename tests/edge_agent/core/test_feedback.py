"""A tap, a card, an amendment: what is sealed and what stays readable."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from nacl.public import PrivateKey

from edge_agent.core.feedback import (
    GivenFeedback,
    Words,
    amend,
    amend_statement,
    rate,
    read_words,
    submit_statement,
)
from event_protocol.events import FeedbackAmended, FeedbackChannel, FeedbackSubmitted
from event_protocol.feedback import ComplaintReason, content_digest
from event_protocol.names import DeskId
from event_protocol.sealing import sealing_key_id, unseal

AT = datetime(2026, 3, 2, 1, 7, 13, tzinfo=UTC)
DESK = DeskId("desk-1")
SESSION = UUID(int=7)
KEY = PrivateKey.generate()
PUBLIC = bytes(KEY.public_key)
PRIVATE = {sealing_key_id(PUBLIC): bytes(KEY)}


def test_a_tap_is_sealed_and_only_its_digest_is_readable() -> None:
    content = rate(2, AT, SESSION, "0" * 32)
    statement = submit_statement(DESK, FeedbackChannel.KIOSK, content, PUBLIC)
    assert (statement.desk, statement.at) == (DESK, AT)
    assert statement.data == FeedbackSubmitted(
        channel=FeedbackChannel.KIOSK, digest=content_digest(content)
    )
    assert statement.sealed is not None
    assert unseal(statement.sealed, content_digest(content), PRIVATE) == content


def test_an_amendment_holds_everything_and_keeps_time_and_session() -> None:
    first = rate(2, AT, SESSION, "0" * 32)
    words = Words(None, (ComplaintReason.ATTITUDE,), "slow", None)
    content = amend(first, words, "1" * 32)
    assert (content.rating, content.at, content.session_id) == (2, AT, SESSION)
    assert (content.comment, content.reasons) == ("slow", (ComplaintReason.ATTITUDE,))
    assert amend(first, Words(rating=5), "1" * 32).rating == 5
    event_id = uuid4()
    statement = amend_statement(DESK, FeedbackChannel.KIOSK, content, event_id, PUBLIC)
    assert isinstance(statement.data, FeedbackAmended)
    assert statement.data.amends == event_id
    assert statement.sealed is not None
    assert unseal(statement.sealed, statement.data.digest, PRIVATE) == content


@pytest.mark.parametrize(("after_s", "may"), [(0, True), (120, True), (120.1, False)])
def test_two_minutes_to_amend(after_s: float, may: bool) -> None:
    given = GivenFeedback(uuid4(), DESK, rate(3, AT, None, "0" * 32))
    assert given.may_amend(AT + timedelta(seconds=after_s)) is may


def test_a_forms_fields_are_cut_and_cleaned_never_refused() -> None:
    words = read_words("6", ["other", "other", "?"], "x" * 9000, "  ")
    assert words == Words(None, (ComplaintReason.OTHER,), "x" * 4000, None)
    assert read_words("1", (), " a ", "b" * 900) == Words(1, (), "a", "b" * 200)
