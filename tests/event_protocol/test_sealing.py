"""Feedback sealed to the server: nobody else reads it, nobody swaps it."""

import base64
from datetime import UTC, datetime

import pytest
from nacl.public import PrivateKey, PublicKey, SealedBox

from event_protocol.feedback import (
    ComplaintReason,
    FeedbackContent,
    content_bytes,
    content_digest,
    make_salt,
)
from event_protocol.sealing import SealError, seal, sealing_key_id, unseal

SERVER = PrivateKey(b"s" * 32)
PUBLIC = bytes(SERVER.public_key)
KEYS = {sealing_key_id(PUBLIC): bytes(SERVER)}
CONTENT = FeedbackContent(
    salt=make_salt(),
    at=datetime(2026, 1, 5, 1, 30, tzinfo=UTC),
    rating=1,
    reasons=(ComplaintReason.ASKED_FOR_MONEY,),
    comment="Cán bộ yêu cầu nộp thêm tiền",
    survey={"3.1": 2},
)
DIGEST = content_digest(CONTENT)


def sealed_to_server(plain: bytes) -> str:
    """Any bytes, sealed as `seal` would."""
    box = SealedBox(PublicKey(PUBLIC)).encrypt(plain)
    return f"{sealing_key_id(PUBLIC)}:{base64.b64encode(box).decode()}"


def test_what_is_sealed_is_opened_with_the_servers_key() -> None:
    assert unseal(seal(CONTENT, PUBLIC), DIGEST, KEYS) == CONTENT


def test_the_sealed_text_shows_nothing_and_differs_each_time() -> None:
    first, second = seal(CONTENT, PUBLIC), seal(CONTENT, PUBLIC)
    assert first != second
    assert "money" not in first


def test_its_length_does_not_tell_a_complaint_from_a_tap() -> None:
    tap = FeedbackContent(salt=make_salt(), at=CONTENT.at, rating=5)
    assert len(seal(tap, PUBLIC)) == len(seal(CONTENT, PUBLIC))


def test_what_was_sealed_without_padding_is_opened_too() -> None:
    assert unseal(sealed_to_server(content_bytes(CONTENT)), DIGEST, KEYS) == CONTENT


def test_equal_ratings_have_different_digests() -> None:
    again = CONTENT.model_copy(update={"salt": make_salt()})
    assert content_digest(again) != DIGEST


@pytest.mark.parametrize(
    ("sealed", "reason"),
    [
        ("", "key that this server does not hold"),
        (seal(CONTENT, bytes(PrivateKey(b"x" * 32).public_key)), "key that this server"),
        (f"{sealing_key_id(PUBLIC)}:not base64!", "can't be opened"),
        (f"{sealing_key_id(PUBLIC)}:mã", "can't be opened"),
        (seal(CONTENT, PUBLIC)[:-8], "can't be opened"),
        (sealed_to_server(b"no JSON"), "can't be opened"),
        (sealed_to_server(b"{}"), "can't be opened"),
        (
            sealed_to_server(content_bytes(CONTENT.model_copy(update={"rating": 5}))),
            "not the one that the chained digest names",
        ),
    ],
    ids=["nothing", "other key", "no base64", "no ASCII", "cut", "no JSON", "no content", "other"],
)
def test_what_cant_be_opened_says_why(sealed: str, reason: str) -> None:
    with pytest.raises(SealError, match=reason):
        unseal(sealed, DIGEST, KEYS)
