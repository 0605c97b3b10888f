"""Reads as a script: (seconds, text, stay) go in, what was said comes out."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from edge_agent.core.codes import CardRating, CodeReader
from edge_agent.core.statements import Statement
from event_protocol.events import MAX_SLIP_CHARACTERS, SlipScanned
from event_protocol.names import DeskId

START = datetime(2030, 1, 1, tzinfo=UTC)
DESK = DeskId("desk-1")
STAY, OTHER_STAY = UUID(int=1), UUID(int=2)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def play(
    *script: tuple[float, str, UUID | None],
) -> list[tuple[float, Statement | CardRating]]:
    reader = CodeReader(DESK)
    said = [(seconds, reader.observe(text, at(seconds), stay)) for seconds, text, stay in script]
    return [(seconds, answer) for seconds, answer in said if answer is not None]


def test_two_equal_readings_make_a_rating() -> None:
    said = play((0, "onestop:rating:4", STAY), (0.2, "onestop:rating:4", STAY))
    assert said == [(0.2, CardRating(DESK, at(0.2), 4, STAY))]


def test_one_reading_says_nothing_and_two_cards_do_not_vouch_for_each_other() -> None:
    assert play((0, "onestop:rating:4", STAY), (0.2, "onestop:rating:5", STAY)) == []


def test_readings_too_far_apart_do_not_count_together() -> None:
    script = (0, "onestop:rating:4", STAY), (3, "onestop:rating:4", STAY)
    assert play(*script) == []
    assert [seconds for seconds, _ in play(*script, (4, "onestop:rating:4", STAY))] == [4]


def test_a_code_counts_once_in_a_stay_however_long_it_lasts() -> None:
    seconds = [0, 1, 2, 300, 301, 302]
    assert len(play(*((s, "onestop:rating:1", STAY) for s in seconds))) == 1


def test_the_next_stay_may_show_the_same_card() -> None:
    said = play(
        (0, "onestop:rating:1", STAY),
        (1, "onestop:rating:1", STAY),
        (90, "onestop:rating:1", OTHER_STAY),
        (91, "onestop:rating:1", OTHER_STAY),
    )
    assert [seconds for seconds, _ in said] == [1, 91]


def test_without_a_known_stay_a_showing_lasts_until_the_code_is_out_of_sight() -> None:
    script = [(s, "H48-0012", None) for s in (0, 1, 50, 100, 101, 200, 201)]
    assert [seconds for seconds, _ in play(*script)] == [1, 201]


@pytest.mark.parametrize(
    ("text", "slip"),
    [
        ("onestop:slip:H48.17-0012", "H48.17-0012"),
        ("H48.17.07-260722-0012", "H48.17.07-260722-0012"),
        ("https://dichvucong.gov.vn/?ma=1", "https://dichvucong.gov.vn/?ma=1"),
        ("  Giấy hẹn số 15\r\n", "Giấy hẹn số 15"),
    ],
)
def test_everything_but_a_rating_is_a_slip(text: str, slip: str) -> None:
    ((_, said),) = play((0, text, STAY), (1, text, STAY))
    assert said == Statement(DESK, at(1), SlipScanned(text=slip, session_id=STAY))


@pytest.mark.parametrize(
    "text",
    [
        "onestop:rating:0",
        "onestop:rating:6",
        "onestop:rating:",
        "onestop:rating:12",
        "onestop:rating:５",
        "onestop:slip:",
        "   ",
        "x" * (MAX_SLIP_CHARACTERS + 1),
    ],
)
def test_what_is_neither_rating_nor_slip_says_nothing(text: str) -> None:
    assert play((0, text, STAY), (1, text, STAY)) == []
