"""The operator's entry goes the citizen's way: sealed, a flag at once, and never shown again."""

import re

import pytest
from sqlmodel import select

from central_server.domain.permissions import Role
from central_server.domain.server_log import FeedbackReceived
from central_server.services.context import ServerContext
from central_server.storage import server_log
from central_server.storage.tables import FeedbackRow, FlagRow
from tests.central_server.http.citizen import hidden, words_of
from tests.central_server.http.internal.browser import Browser
from tests.central_server.http.internal.conftest import OpenBrowser
from web.qr_pictures import qr_svg

TOLD = {
    "place": "desk:desk-commune-a",
    "told_at": "2026-03-18T09:10",
    "rating": "1",
    "reason": "harassment",
    "comment": "Người gọi kể <b>rất</b> dài",
    "receipt": "1",
}


@pytest.fixture
def operator(browser: OpenBrowser) -> Browser:
    return browser(Role.OPERATOR)


def entered(context: ServerContext) -> list[FeedbackReceived]:
    with context.database.reading() as db:
        entries = [logged.entry for logged in server_log.read_after(db, 0)]
    return [entry for entry in entries if isinstance(entry, FeedbackReceived)]


def test_an_entry_is_sealed_filed_and_a_flag_at_once(
    operator: Browser, context: ServerContext
) -> None:
    answer = operator.post("/hotline", {**hidden(operator.get("/hotline")), **TOLD})
    assert answer.status_code == 200
    code = re.search(r"<code>([A-Z2-7-]{29})</code>", answer.text)
    assert code is not None, "to be read to the caller"
    assert "Người gọi kể" not in answer.text, "what was saved is not shown again"
    (entry,) = entered(context)
    assert (entry.channel.value, entry.entered_by) == ("hotline", "operator-district")
    with context.database.reading() as db:
        row = db.get_one(FeedbackRow, str(entry.feedback_id))
        flag = db.exec(select(FlagRow).where(FlagRow.feedback_id == row.feedback_id)).one()
    assert (row.desk, row.unit_id, row.comment) == (
        "desk-commune-a",
        "commune-a",
        TOLD["comment"],
    )
    assert (row.match, row.session_id) == ("unmatched", None)
    assert (flag.rule, flag.severity, flag.inspection_only) == ("complaint", "critical", True)


def test_an_entry_sent_twice_counts_once(operator: Browser, context: ServerContext) -> None:
    fields = {**hidden(operator.get("/hotline")), **TOLD}
    pages = [operator.post("/hotline", fields) for _ in range(2)]
    assert [page.status_code for page in pages] == [200, 200]
    assert len(entered(context)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"place": "desk:desk-commune-c"}, "chọn một quầy"),
        ({"place": "unit:commune-c"}, "chọn một quầy"),
        ({"place": "nonsense"}, "chọn một quầy"),
        ({"told_at": "yesterday"}, "ngày giờ"),
        ({"told_at": "0001-01-01T00:00"}, "ngày giờ"),
        ({"told_at": "2026-03-18T10:01"}, "tương lai"),
        ({"rating": "", "reason": "", "comment": ""}, "mức hài lòng, lý do hoặc nội dung"),
        ({"comment": "a" * 4001}, "4001 ký tự"),
        ({"form": "forged"}, "không còn hợp lệ"),
    ],
)
def test_what_can_not_be_taken_is_handed_back_as_typed(
    operator: Browser, context: ServerContext, change: dict[str, str], said: str
) -> None:
    fields = {**hidden(operator.get("/hotline")), **TOLD, **change}
    answer = operator.post("/hotline", fields)
    assert answer.status_code == 422
    assert said in words_of(answer)
    if fields["comment"] == TOLD["comment"]:
        assert "Người gọi kể &lt;b&gt;rất&lt;/b&gt; dài" in answer.text
    assert entered(context) == []


def test_a_unit_as_a_whole_can_be_told_of(operator: Browser, context: ServerContext) -> None:
    told = {**TOLD, "place": "unit:commune-b", "receipt": ""}
    operator.post("/hotline", {**hidden(operator.get("/hotline")), **told})
    (entry,) = entered(context)
    assert (entry.desk, entry.unit_id) == (None, "commune-b")


def test_a_poster_prints_the_desk_s_address_and_what_is_stored(
    browser: OpenBrowser, context: ServerContext
) -> None:
    page = browser(Role.UNIT_OFFICER, "commune-a").get("/posters/desk-commune-a")
    address = f"{context.settings.web.public_url}/r/desk-commune-a"
    assert page.status_code == 200
    assert qr_svg(address, error="q") in page.text
    words = words_of(page)
    for text in (address, "Xã An Bình", "không nhận diện khuôn mặt", "Chỉ đoàn kiểm tra đọc"):
        assert text in words
