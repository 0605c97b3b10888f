"""One tap is a complete answer; it is sealed, counted once, and can be amended for two minutes."""

import re
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from event_protocol.events import FeedbackAmended, FeedbackSubmitted
from event_protocol.feedback import ComplaintReason
from event_protocol.receipt_codes import hash_code
from tests.edge_agent.http.conftest import SESSION, Box
from tests.processes.full_disk import no_file_grows_beyond

FACES = "/kiosk/desk-1"


def field(page: str, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert match, name
    return match[1]


def tap(box: Box, rating: str = "2", form: str | None = None) -> str:
    """Tap a face; the address of the thank-you page."""
    form = form or field(box.client.get(FACES).text, "form")
    answer = box.client.post(FACES, data={"form": form, "rating": rating})
    assert answer.status_code == 303
    return str(answer.headers["location"])


def amend(box: Box, thanks: str, **fields: str | list[str]) -> int:
    page = box.client.get(thanks).text
    form = {"form": field(page, "form"), "amendment": field(page, "amendment"), **fields}
    return int(box.client.post("/kiosk/desk-1/amend", data=form).status_code)


def receipt_on(page: str) -> str | None:
    match = re.search(r"<output>([A-Z2-7-]{29})</output>", page)
    return match and match[1]


def test_five_faces_with_words_and_no_script(box: Box) -> None:
    page = box.client.get(FACES)
    assert page.status_code == 200
    assert re.findall(r'name="rating" value="(\d)"', page.text) == ["5", "4", "3", "2", "1"]
    assert "Rất hài lòng" in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "set-cookie" not in page.headers
    assert len(page.content) < 14_000


def test_english_is_an_equal(box: Box) -> None:
    page = box.client.get(FACES, params={"lang": "en"}).text
    assert '<html lang="en">' in page
    assert "Very satisfied" in page
    assert 'action="/kiosk/desk-1?lang=en"' in page


def test_a_tap_is_saved_sealed_and_bound_to_the_session(box: Box) -> None:
    thanks = tap(box, "2")
    assert "Đánh giá đã được lưu" in box.client.get(thanks).text
    (event,) = box.events()
    assert isinstance(event.event.data, FeedbackSubmitted)
    (content,) = box.contents()
    assert (content.rating, content.session_id, content.at) == (2, SESSION, box.at)


def test_a_tap_counts_when_the_camera_knows_nothing(box: Box) -> None:
    box.session = None
    tap(box)
    assert box.contents()[0].session_id is None


def test_a_form_posted_twice_counts_once_also_after_two_minutes(box: Box) -> None:
    form = field(box.client.get(FACES).text, "form")
    assert tap(box, "1", form) == tap(box, "1", form)
    box.pass_time(600)
    late = box.client.post(FACES, data={"form": form, "rating": "5"})
    assert late.status_code == 409
    assert "lần chạm đầu tiên được giữ nguyên" in late.text
    assert "<form" not in late.text, "what no longer is in memory can't be amended"
    assert [content.rating for content in box.contents()] == [1]


def test_a_form_posted_twice_at_once_counts_once(box: Box) -> None:
    form = field(box.client.get(FACES).text, "form")
    with ThreadPoolExecutor(8) as people:
        thanks = set(people.map(lambda rating: tap(box, rating, form), "12121212"))
    page = box.client.get(thanks.pop()).text
    (content,) = box.contents()
    assert f'value="{content.rating}" checked' in page
    assert content.receipt_hash == hash_code(receipt_on(page) or "")


@pytest.mark.parametrize(
    "data",
    [{}, {"rating": "3"}, {"form": "A" * 43, "rating": "3"}, {"form": "?", "rating": "3"}],
)
def test_a_form_that_is_not_ours_is_asked_again(box: Box, data: dict[str, str]) -> None:
    answer = box.client.post(FACES, data=data)
    assert answer.status_code == 400
    assert "Xin chạm lại" in answer.text
    assert box.events() == []


@pytest.mark.parametrize("rating", ["0", "6", "x", "", "²"])
def test_no_such_face(box: Box, rating: str) -> None:
    form = field(box.client.get(FACES).text, "form")
    assert box.client.post(FACES, data={"form": form, "rating": rating}).status_code == 400
    assert box.events() == []


def test_an_amendment_repeats_everything_and_names_the_first_event(box: Box) -> None:
    thanks = tap(box, "2")
    box.pass_time(60)
    reasons = ["asked_for_money", "attitude", "nonsense"]
    comment = "<script>alert(1)</script> chậm"
    assert amend(box, thanks, rating="1", reason=reasons, comment=comment, contact=" ") == 303
    first, second = box.events()
    assert isinstance(second.event.data, FeedbackAmended)
    assert second.event.data.amends == first.event.id
    before, after = box.contents()
    assert after.at == before.at
    assert (after.rating, after.comment, after.contact) == (1, comment, None)
    assert after.reasons == (ComplaintReason.ASKED_FOR_MONEY, ComplaintReason.ATTITUDE)
    assert after.session_id == SESSION
    shown = box.client.get(thanks).text
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert(1)" in shown


@pytest.mark.parametrize(("rating", "has_one"), [("1", True), ("2", True), ("3", False)])
def test_a_complaint_has_a_receipt_of_which_only_the_hash_is_kept(
    box: Box, rating: str, has_one: bool
) -> None:
    page = box.client.get(tap(box, rating)).text
    code = receipt_on(page)
    assert (code is not None) is has_one
    assert box.contents()[0].receipt_hash == (hash_code(code) if code else None)
    assert ("http://127.0.0.1:8000/receipt" in page) is has_one
    assert page.count('class="qr"') == has_one


def test_a_receipt_stays_the_same_and_comes_with_the_first_reason(box: Box) -> None:
    thanks = tap(box, "5")
    amend(box, thanks, reason="asked_for_money")
    code = receipt_on(box.client.get(thanks).text)
    assert code is not None
    amend(box, thanks, rating="4")
    assert receipt_on(box.client.get(thanks).text) == code
    hashes = [content.receipt_hash for content in box.contents()]
    assert hashes == [None, hash_code(code), hash_code(code)]


def test_no_code_is_shown_that_nobody_stored(box: Box) -> None:
    thanks = tap(box, "5")
    page = box.client.get(thanks).text
    form = {"form": field(page, "form"), "amendment": field(page, "amendment"), "reason": "other"}
    with no_file_grows_beyond(0):
        refused = box.client.post("/kiosk/desk-1/amend", data=form)
    assert refused.status_code == 503
    assert 'value="other" checked' in refused.text
    assert receipt_on(refused.text) is None


def test_after_two_minutes_an_amendment_is_refused_and_the_tap_stays(box: Box) -> None:
    thanks = tap(box)
    page = box.client.get(thanks).text
    box.pass_time(121)
    late = {"form": field(page, "form"), "amendment": field(page, "amendment"), "rating": "5"}
    answer = box.client.post("/kiosk/desk-1/amend", data=late)
    assert answer.status_code == 410
    assert "Hai phút để sửa đổi đã hết" in answer.text
    assert [content.rating for content in box.contents()] == [2]
    assert "<form" not in box.client.get(thanks).text


def test_an_amendment_posted_twice_counts_once(box: Box) -> None:
    thanks = tap(box)
    page = box.client.get(thanks).text
    form = {"form": field(page, "form"), "amendment": field(page, "amendment"), "comment": "x"}
    for _ in range(2):
        assert box.client.post("/kiosk/desk-1/amend", data=form).status_code == 303
    assert len(box.events()) == 2
    box.client.post("/kiosk/desk-1/amend", data={**form, "comment": "y"})
    assert len(box.events()) == 2
    assert ">x</textarea>" in box.client.get(thanks).text, "what counted is shown"


def test_a_long_comment_is_cut_and_a_huge_one_refused(box: Box) -> None:
    thanks = tap(box)
    assert amend(box, thanks, comment="ơ" * 5000) == 303
    assert box.contents()[-1].comment == "ơ" * 4000
    amend(box, thanks, comment="\x01\x00" + '"' * 5000, contact="\x02" * 500)
    assert (box.contents()[-1].comment, box.contents()[-1].contact) == ('"' * 4000, None)
    assert amend(box, thanks, comment="x" * 1_000_000) == 413
    huge = box.client.post("/kiosk/desk-1/amend", data={"comment": "x" * 1_000_000})
    assert "vẫn được lưu" in huge.text
    assert "default-src 'none'" in huge.headers["content-security-policy"]
    assert 'href="/kiosk/desk-1"' in huge.text
    parts = (b"x" * 100_000 for _ in range(10))
    unannounced = box.client.post("/kiosk/desk-1/amend", content=parts)
    assert (unannounced.status_code, "vẫn được lưu" in unannounced.text) == (413, True)
    assert len(box.events()) == 3


def test_unknown_desk(box: Box) -> None:
    for answer in (
        box.client.get("/kiosk/desk-9"),
        box.client.post("/kiosk/desk-9", data={"rating": "1"}),
        box.client.get("/screen/desk-9"),
    ):
        assert answer.status_code == 404
        assert "Không có quầy này" in answer.text


def test_what_the_disk_refuses_is_said_and_the_same_form_works_later(box: Box) -> None:
    form = field(box.client.get(FACES).text, "form")
    with no_file_grows_beyond(0):
        answer = box.client.post(FACES, data={"form": form, "rating": "1"})
    assert answer.status_code == 503
    assert "CHƯA được ghi nhận" in answer.text
    assert field(answer.text, "form") == form
    tap(box, "1", form)
    assert [content.rating for content in box.contents()] == [1]


def test_the_event_id_is_the_forms_own_random_one(box: Box) -> None:
    tap(box)
    event_id = box.events()[0].event.id
    assert isinstance(event_id, UUID)
    assert event_id.version == 4
