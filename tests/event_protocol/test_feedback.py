"""What both programs must judge alike of what a citizen says."""

import pytest

from event_protocol.feedback import ComplaintReason, clean_text, is_complaint

OTHER = ComplaintReason.OTHER


@pytest.mark.parametrize(
    ("rating", "reasons", "expected"),
    [
        (1, (), True),
        (2, (), True),
        (3, (), False),
        (5, (), False),
        (None, (), False),
        (5, (OTHER,), True),
        (None, (OTHER,), True),
    ],
)
def test_a_low_rating_or_any_reason_is_a_complaint(
    rating: int | None, reasons: tuple[ComplaintReason, ...], expected: bool
) -> None:
    assert is_complaint(rating, reasons) is expected


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  chậm\r\nvà lâu\t! ", "chậm\nvà lâu\t!"),
        ("a\x00b\x1b[31mc\x7f", "ab[31mc"),
        ("e\u0302\u0301", "ế"),
        ("\ud800\n", ""),
    ],
)
def test_text_is_composed_and_holds_nothing_that_controls(typed: str, kept: str) -> None:
    assert clean_text(typed) == kept
