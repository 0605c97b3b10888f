"""The citizens' pages: small, without a trace, in two languages, from the desk and from home."""

from urllib.parse import urlencode

import pytest
from sqlmodel import col, select

from central_server.http.public_app import make_public_app
from central_server.services.context import ServerContext
from central_server.storage.tables import FlagRow
from tests.central_server.http.citizen import Citizen, feedback_rows, hidden, words_of

# --- pages ------------------------------------------------------------------------------------


def test_pages_are_small_and_keep_no_trace(citizen: Citizen) -> None:
    page = citizen.get("/r/desk-1")
    assets = [citizen.get(path).content for path in ("/static/theme.css", "/static/public.css")]
    assert len(page.content) <= 14 * 1024
    thanks = citizen.tap(1)
    script = citizen.get("/static/public.js").content
    assert sum(map(len, [page.content, thanks.content, script, *assets])) <= 50 * 1024
    for answer in (page, thanks):
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "style=" not in answer.text
        assert "onclick" not in answer.text


def test_the_rating_page_needs_no_script(citizen: Citizen) -> None:
    assert "<script" not in citizen.get("/r/desk-1").text


def test_language_and_size_go_by_link(citizen: Citizen) -> None:
    page = citizen.get("/r/desk-1?lang=en&big=1")
    assert 'lang="en" class="large"' in page.text
    assert "Very dissatisfied" in page.text
    assert 'href="/r/desk-1?lang=en"' in page.text
    assert 'href="/r/desk-1?big=1"' in page.text
    thanks = citizen.post("/r/desk-1?lang=en&big=1", {**hidden(page), "rating": "5"})
    assert "Saved: Very satisfied." in words_of(thanks)


@pytest.mark.parametrize("path", ["/r/none", "/r/..%2f..", "/u/none", "/r?unit=none", "/x"])
def test_what_does_not_exist_says_where_to_go_on(citizen: Citizen, path: str) -> None:
    answer = citizen.get(path)
    assert answer.status_code == 404
    assert "tự chọn đơn vị" in words_of(answer)


# --- from home --------------------------------------------------------------------------------


def test_from_home_the_tree_leads_to_a_desk(citizen: Citizen, context: ServerContext) -> None:
    top = citizen.get("/r")
    assert "Xã Đô Lương" in top.text
    assert "sáp nhập" not in top.text, "a unit that is no more can't be rated"
    unit = citizen.get("/r?unit=unit-a")
    assert "/r/desk-2?from=home" in unit.text
    form = hidden(citizen.get("/r/desk-2?from=home"))
    citizen.post("/r/desk-2?from=home", {**form, "rating": "4"})
    (row,) = feedback_rows(context)
    assert (row.channel, row.desk, row.match) == ("home", "desk-2", "unmatched")


@pytest.mark.parametrize("words", ["do luong", "Đô Lương", "LUONG xa", "xã đô"])
def test_search_finds_a_unit_with_and_without_marks(citizen: Citizen, words: str) -> None:
    answer = citizen.get(f"/r?{urlencode({'q': words})}")
    assert "unit=unit-a" in answer.text
    assert "unit=unit-b" not in answer.text


def test_search_that_finds_nothing_says_so(citizen: Citizen) -> None:
    assert "Không có đơn vị nào" in words_of(citizen.get("/r?q=%3Cscript%3E"))


def test_a_unit_can_be_rated_as_a_whole(citizen: Citizen, context: ServerContext) -> None:
    assert citizen.tap(2, "/u/unit-b").status_code == 200
    (row,) = feedback_rows(context)
    assert (row.channel, row.desk, row.unit_id) == ("home", None, "unit-b")
    with context.database.transaction() as db:
        assert db.exec(select(col(FlagRow.unit_id))).all() == ["unit-b"]


def test_two_applications_share_no_state(context: ServerContext) -> None:
    form = hidden(Citizen(make_public_app(context)).get("/r/desk-1"))
    answer = Citizen(make_public_app(context)).post("/r/desk-1", {**form, "rating": "5"})
    assert answer.status_code == 200, "any worker takes a form that another one made"
