"""What a citizen may add after the first tap, and what must not come with it."""

import pytest
from sqlmodel import select

from central_server.services.context import ServerContext
from central_server.storage.tables import FlagRow
from event_protocol.feedback import MAX_COMMENT_CHARACTERS
from tests.central_server.factories import Clock
from tests.central_server.http.citizen import (
    Citizen,
    code_on,
    content,
    entries,
    feedback_rows,
    words_of,
)


def test_details_complete_the_first_tap(citizen: Citizen, context: ServerContext) -> None:
    thanks = citizen.add(
        citizen.tap(4),
        {
            "rating": "2",
            "reason": ["refused", "attitude", "no-such-reason"],
            "comment": "  Bị trả hồ sơ.\r\nKhông nói lý do. ",
            "contact": "0900 000 000",
            "item-1.1": "5",
            "item-3.6": "1",
            "item-3.7": "1",
            "item-2.1": "",
        },
    )
    assert "Đã lưu phần bổ sung." in words_of(thanks)
    said = content(context)
    assert said.rating == 2
    assert [reason.value for reason in said.reasons] == ["attitude", "refused"]
    assert said.comment == "Bị trả hồ sơ.\nKhông nói lý do."
    assert said.contact == "0900 000 000"
    assert said.survey == {"1.1": 5, "3.6": 1}
    assert code_on(thanks) is not None
    (row,) = feedback_rows(context)
    assert (row.rating, row.is_complaint, row.comment) == (2, True, said.comment)


def test_details_posted_twice_are_one_entry_and_one_code(
    citizen: Citizen, context: ServerContext
) -> None:
    first = citizen.tap(1)
    fields = {"rating": "1", "reason": "violence"}
    codes = {code_on(citizen.add(first, fields)) for _ in range(3)}
    assert codes == {code_on(first)}
    assert len(entries(context)) == 2


def test_the_rating_can_be_changed_for_two_minutes(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    first = citizen.tap(1)
    clock.advance(120)
    citizen.add(first, {"rating": "5"})
    assert [row.rating for row in feedback_rows(context)] == [5]
    with context.database.transaction() as db:
        assert [flag.state for flag in db.exec(select(FlagRow))] == ["withdrawn"]


def test_after_two_minutes_the_rating_stands_and_the_words_are_taken(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    first = citizen.tap(1)
    clock.advance(121)
    answer = citizen.add(first, {"rating": "5", "comment": "Tôi nhầm."})
    assert "không đổi được mức đánh giá" in words_of(answer)
    (row,) = feedback_rows(context)
    assert (row.rating, row.comment) == (1, "Tôi nhầm.")


def test_after_an_hour_the_words_are_handed_back(
    citizen: Citizen, context: ServerContext, clock: Clock
) -> None:
    first = citizen.tap(3)
    clock.advance(3601)
    answer = citizen.add(first, {"rating": "3", "comment": "Viết rất lâu"})
    assert answer.status_code == 400
    assert "Viết rất lâu" in answer.text
    assert len(entries(context)) == 1


def test_a_receipt_can_be_asked_for_without_complaining(citizen: Citizen) -> None:
    assert code_on(citizen.add(citizen.tap(5), {"rating": "5", "receipt": "1"})) is not None


def test_a_script_in_a_comment_is_shown_and_does_not_run(citizen: Citizen) -> None:
    script = "</textarea><script>alert(1)</script>"
    answer = citizen.add(citizen.tap(1), {"rating": "1", "comment": script})
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_a_comment_of_a_megabyte_is_refused_and_the_tap_stays(
    citizen: Citizen, context: ServerContext
) -> None:
    first = citizen.tap(2)
    answer = citizen.add(first, {"rating": "2", "comment": "a" * 2**20})
    assert answer.status_code == 413
    assert "vẫn được lưu" in words_of(answer)
    assert [row.rating for row in feedback_rows(context)] == [2]
    assert citizen.add(first, {"rating": "2", "comment": "ngắn"}).status_code == 200


def test_a_comment_slightly_too_long_is_handed_back_whole(
    citizen: Citizen, context: ServerContext
) -> None:
    words = "ờ" * (MAX_COMMENT_CHARACTERS + 1)
    answer = citizen.add(citizen.tap(2), {"rating": "2", "reason": "other", "comment": words})
    assert answer.status_code == 400
    assert words in answer.text
    assert "4001 ký tự" in words_of(answer)
    assert 'value="other" checked' in answer.text
    shorter = citizen.add(answer, {"rating": "2", "comment": words[:-1]})
    assert shorter.status_code == 200
    assert content(context).comment == words[:-1]


def test_control_characters_do_not_reach_the_database(
    citizen: Citizen, context: ServerContext
) -> None:
    citizen.add(citizen.tap(2), {"rating": "2", "comment": "a\x00b\x1b[31mc\td"})
    assert content(context).comment == "ab[31mc\td"


def test_words_are_decoded_once(citizen: Citizen, context: ServerContext) -> None:
    words = "%3Cb%3E &lt;b&gt; \\u003cb\\u003e 100%25 a+b"
    thanks = citizen.add(citizen.tap(2), {"rating": "2", "comment": words})
    assert thanks.status_code == 200
    assert content(context).comment == words


@pytest.mark.parametrize("body", [b"form=%ff%fe&rating=5", b"\x00\x01", b"&&&=", b"a=1&" * 3000])
def test_bytes_that_are_no_form_are_answered(citizen: Citizen, body: bytes) -> None:
    assert citizen.post_bytes("/r/desk-1", body).status_code == 400
    assert citizen.post_bytes("/r", body).status_code == 400
