"""The desk screen's rotating code: made with no network, forged by nobody."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_protocol.names import DeskId
from event_protocol.tokens import RatingToken, TokenError, make_token, read_token

DESK, OTHER_DESK = DeskId("counter-1"), DeskId("counter-2")
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
EXPIRY = datetime(2026, 1, 5, 1, 35, tzinfo=UTC)
NOW = EXPIRY - timedelta(minutes=2)
TOKEN = RatingToken(DESK, UUID(int=7), EXPIRY, nonce=42)


def refusal(text: str, *, desk: DeskId = DESK, key: bytes = KEY, now: datetime = NOW) -> str:
    """The code with which a text is refused."""
    with pytest.raises(TokenError) as refused:
        read_token(desk, text, key, now)
    return refused.value.code


@given(
    session_id=st.none() | st.uuids().filter(lambda session: session.int),
    nonce=st.integers(0, 2**64 - 1),
)
def test_a_token_is_read_as_it_was_made(session_id: UUID | None, nonce: int) -> None:
    token = RatingToken(DESK, session_id, EXPIRY, nonce)
    text = make_token(token, KEY)
    assert len(text) == 60
    assert read_token(DESK, text, KEY, NOW) == token


def test_it_holds_until_its_last_second() -> None:
    text = make_token(TOKEN, KEY)
    assert read_token(DESK, text, KEY, EXPIRY) == TOKEN
    assert refusal(text, now=EXPIRY + timedelta(seconds=1)) == "expired"


def test_another_desks_token_and_another_key_are_forged() -> None:
    assert refusal(make_token(TOKEN, KEY), desk=OTHER_DESK) == "forged"
    assert refusal(make_token(TOKEN, OTHER_KEY)) == "forged"


def test_one_bit_changed_anywhere_is_forged() -> None:
    raw = bytearray(base64.urlsafe_b64decode(make_token(TOKEN, KEY)))
    for at in range(len(raw)):
        raw[at] ^= 1
        assert refusal(base64.urlsafe_b64encode(raw).decode()) == "forged"
        raw[at] ^= 1


@given(st.text(max_size=80))
def test_any_text_is_refused_and_never_raises_anything_else(text: str) -> None:
    assert refusal(text) == "forged"


def test_another_version_signed_with_the_right_key_is_forged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("event_protocol.tokens._VERSION", 2)
    text = make_token(TOKEN, KEY)
    monkeypatch.undo()
    assert refusal(text) == "forged"
