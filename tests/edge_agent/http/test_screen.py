"""The code on the screen opens the desk's page with a token of the visit, and rotates."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest
import segno
import zxingcpp

from edge_agent.http.screen import CODE_HOLDS, rating_address
from event_protocol.tokens import TokenError, read_token
from tests.edge_agent.http.conftest import DESK, SESSION, Box

KEY = bytes.fromhex("0a" * 32)


def token_of(address: str) -> str:
    return parse_qs(urlsplit(address).query)["t"][0]


def test_the_code_names_desk_and_session_and_is_new_each_time(box: Box) -> None:
    (desk,) = box.feedback.list_desks()
    first, second = (rating_address(box.feedback, desk, box.at) for _ in range(2))
    assert first.startswith("http://127.0.0.1:8000/r/desk-1?t=")
    assert first != second
    token = read_token(DESK, token_of(first), KEY, box.at)
    assert token.session_id == SESSION
    with pytest.raises(TokenError, match="expired"):
        read_token(DESK, token_of(first), KEY, box.at + CODE_HOLDS + timedelta(seconds=1))


def test_the_code_holds_by_the_servers_clock(box: Box) -> None:
    box.outbox.clock_offset_ms = 3_600_000  # our clock is an hour slow
    (desk,) = box.feedback.list_desks()
    address = rating_address(box.feedback, desk, box.at)
    server_now = box.at + timedelta(hours=1, minutes=9)
    assert read_token(DESK, token_of(address), KEY, server_now).desk == DESK


def test_the_page_is_readable_without_script_and_has_nothing_inline(box: Box) -> None:
    page = box.client.get("/screen/desk-1")
    assert page.status_code == 200
    assert '<noscript><meta http-equiv="refresh"' in page.text
    assert "<svg viewBox=" in page.text
    assert "style=" not in page.text
    assert "http://127.0.0.1:8000/r/desk-1" in page.text


def test_phones_can_read_the_code(box: Box) -> None:
    (desk,) = box.feedback.list_desks()
    address = rating_address(box.feedback, desk, box.at)
    modules = np.array(list(segno.make(address, error="m").matrix_iter(scale=6, border=4)))
    picture = np.where(modules > 0, 0, 255).astype(np.uint8)
    (found,) = zxingcpp.read_barcodes(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    assert found.text == address


def test_before_any_receipt_our_own_clock_counts(box: Box) -> None:
    assert box.outbox.clock_offset_ms is None
    assert box.feedback.server_time(box.at) == box.at
