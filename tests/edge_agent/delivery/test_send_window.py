"""Numbers and seconds in, spans out."""

from edge_agent.delivery.send_window import SendWindow
from event_protocol.messages import Resend

PLENTY = 1000


def make_window(size: int = 10) -> SendWindow:
    return SendWindow(size, resend_after_s=10, jitter=lambda: 0.0)


def test_sends_in_order_up_to_the_window_and_goes_on_with_receipts() -> None:
    window = make_window()
    assert window.take_span(0, 25, 0, 4) == (1, 4)
    assert window.take_span(0, 25, 0, PLENTY) == (5, 10)
    assert window.take_span(0, 25, 0, PLENTY) is None
    window.note_progress(1)
    assert window.take_span(7, 25, 1, PLENTY) == (11, 17)


def test_what_has_no_receipt_goes_out_again_later_and_later() -> None:
    window = make_window()
    assert window.take_span(0, 3, 0, PLENTY) == (1, 3)
    assert window.take_span(0, 3, 9.9, PLENTY) is None
    assert window.take_span(0, 3, 10, PLENTY) == (1, 3)
    assert window.take_span(0, 3, 29.9, PLENTY) is None
    assert window.take_span(0, 3, 30, PLENTY) == (1, 3)
    window.note_progress(31)
    assert window.take_span(2, 3, 41, PLENTY) == (3, 3)


def test_the_wait_is_bounded() -> None:
    window = make_window()
    at = 0.0
    window.take_span(0, 1, at, PLENTY)
    for _ in range(20):
        at += 300
        assert window.take_span(0, 1, at, PLENTY) == (1, 1)


def test_a_pause_does_not_count_as_a_missing_receipt() -> None:
    window = make_window()
    assert window.take_span(0, 1, 0, PLENTY) == (1, 1)
    window.note_progress(0.1)
    assert window.take_span(1, 1, 5000, PLENTY) is None
    assert window.take_span(1, 2, 6000, PLENTY) == (2, 2)
    assert window.take_span(1, 2, 6001, PLENTY) is None


def test_a_gap_is_answered_first_and_only_with_what_exists() -> None:
    window = make_window()
    assert window.take_span(0, 8, 0, PLENTY) == (1, 8)
    window.request(Resend(epoch=1, first=3, last=99), last=8)
    window.request(Resend(epoch=1, first=3, last=99), last=8)
    window.request(Resend(epoch=1, first=9, last=99), last=8)
    assert window.take_span(2, 8, 1, 4) == (3, 6)
    assert window.take_span(2, 9, 1, 4) == (7, 8)
    assert window.take_span(2, 9, 1, 4) == (9, 9)


def test_rewind_begins_again_at_the_receipt() -> None:
    window = make_window()
    window.take_span(0, 8, 0, PLENTY)
    window.request(Resend(epoch=1, first=1, last=2), last=8)
    window.rewind()
    assert window.take_span(5, 8, 1, PLENTY) == (6, 8)
