"""What can't be had is named with its reason."""

from datetime import timedelta

import pytest

from edge_agent.evidence.coverage import covered_parts, main_reason, missing_parts
from edge_agent.evidence.ring import Entry
from event_protocol.evidence import Span, Unavailable
from tests.edge_agent.evidence.streams import START


def entry(first_s: float, last_s: float, reason: Unavailable | None = None) -> Entry:
    return Entry(
        START + timedelta(seconds=first_s), START + timedelta(seconds=last_s), "room", reason
    )


def span(first_s: float, last_s: float) -> Span:
    return Span(begin=START + timedelta(seconds=first_s), end=START + timedelta(seconds=last_s))


def test_pieces_become_parts_within_the_span() -> None:
    pieces = [entry(0, 10), entry(10, 20.2), entry(20.9, 30), entry(40, 50)]
    assert covered_parts(span(5, 45), pieces) == (span(5, 30), span(40, 45))
    assert covered_parts(span(5, 9), pieces[:1]) == (span(5, 9),)
    assert covered_parts(span(0, 9), []) == ()
    overlapping = [entry(0, 30), entry(5, 10)]
    assert covered_parts(span(0, 60), overlapping) == (span(0, 30),)


def test_a_report_names_no_more_parts_than_it_can() -> None:
    flicker = [entry(10 * n, 10 * n + 2) for n in range(400)]
    assert len(covered_parts(span(0, 4000), flicker)) == 256


def test_pauses_of_a_second_are_none() -> None:
    assert missing_parts(span(0, 60), [span(0.8, 30), span(40, 59.5)]) == [span(30, 40)]
    assert missing_parts(span(0, 60), [span(10, 50)]) == [span(0, 10), span(50, 60)]
    assert missing_parts(span(0, 60), []) == [span(0, 60)]


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ([], Unavailable.NOT_COVERED),
        ([entry(-100, 25, Unavailable.OVERWRITTEN)], Unavailable.OVERWRITTEN),
        ([entry(0, 4, Unavailable.CAMERA_OFF)], Unavailable.NOT_COVERED),
        (
            [entry(0, 4, Unavailable.CAMERA_OFF), entry(4, 9, Unavailable.DISK_FULL)],
            Unavailable.DISK_FULL,
        ),
        ([entry(30, 99, Unavailable.CAMERA_OFF)], Unavailable.NOT_COVERED),
    ],
)
def test_the_reason_of_most_of_it_is_told(known: list[Entry], reason: Unavailable) -> None:
    assert main_reason([span(0, 10)], known) is reason
    assert main_reason([], known) is None
