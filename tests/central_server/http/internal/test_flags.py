"""The queue, one flag's screen, decisions, and who may know of complaints."""

from operator import itemgetter

import pytest
from sqlmodel import select

from central_server.domain.permissions import Role
from central_server.domain.server_log import FlagDismissed, FlagTaken, Viewed
from central_server.services.context import ServerContext
from central_server.storage import server_log
from central_server.storage.flag_lists import SEVERITIES
from central_server.storage.tables import FeedbackRow, FlagRow
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.factories import COMPLAINT_WORDS, make_flag, make_id

WAIT, COMPLAINT = make_id("wait-commune-a"), make_id("complaint-commune-a")
GAP = make_id("gap-commune-a")
API = "/api/v1/flags"
UNIT_SIDE = (Role.SUPERVISOR, Role.UNIT_OFFICER, Role.ADMINISTRATOR)


def _entries(context: ServerContext, kind: type) -> list[object]:
    with context.database.reading() as db:
        logged = server_log.read_after(db, 0)
        return [each.entry for each in logged if isinstance(each.entry, kind)]


def test_the_gravest_come_first_and_of_equals_the_newest(browser: OpenBrowser) -> None:
    items = browser(Role.INSPECTOR).get(API).json()["items"]
    assert [item["severity"] for item in items] == ["critical"] * 2 + ["major"] * 2 + ["minor"] * 2
    assert items[0]["begin"].endswith("Z")
    order = [(SEVERITIES.index(item["severity"]), item["begin"]) for item in items]
    assert order == sorted(sorted(order, key=itemgetter(1), reverse=True), key=itemgetter(0))


def test_a_row_says_what_sets_its_flag_apart(browser: OpenBrowser, context: ServerContext) -> None:
    facts = {"states": ["covered", "dark"], "proven_s": 300.0, "open_s": 2400.0}
    gap = {"first": 5, "last": 16}
    with context.database.transaction() as db:
        db.add(make_flag("commune-a", "covered", "camera_tampered", facts=facts))
        db.add(make_flag("commune-a", "lost events", "sequence_gap", facts=gap))
    page = browser(Role.INSPECTOR).get("/flags?lang=en").text
    rows = [" ".join(row.split()) for row in page.split('class="fact">')[1:]]
    said = {row.partition("</span>")[0].strip() for row in rows}
    assert {"Asked for money", "covered · dark, 40 minutes", "12 events"} <= said
    assert "15 minutes or more" in said, "as long as the end is not told"


def test_pages_of_the_list_follow_each_other_without_loss(browser: OpenBrowser) -> None:
    client, seen, cursor = browser(Role.INSPECTOR), [], ""
    while cursor is not None:
        page = client.get(API, params={"limit": 4, "cursor": cursor}).json()
        seen += [item["flag_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 6
    assert client.get(API, params={"cursor": "rubbish"}).json()["code"] == "error.cursor"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("severity=critical", 2),
        ("rule=long_wait&unit=commune-a", 1),
        ("unit=district&own=1", 0),
        ("desk=desk-commune-b", 2),
        ("state=dismissed", 0),
        ("since=2026-03-19", 0),
        ("since=2026-03-18&until=2026-03-18&state=all", 6),
    ],
)
def test_filters_stand_in_the_address(browser: OpenBrowser, query: str, expected: int) -> None:
    client = browser(Role.INSPECTOR)
    assert len(client.get(f"{API}?{query}").json()["items"]) == expected
    assert client.get(f"/flags?{query}").text.count('id="flag-') == expected + 1  # and the body


def test_taking_dismissing_and_undoing_are_entries_of_the_log(
    browser: OpenBrowser, context: ServerContext
) -> None:
    client = browser(Role.INSPECTOR)
    taken = client.post(f"{API}/{WAIT}/take").json()
    assert (taken["state"], taken["taken_by"]) == ("taken", "inspector-district")
    assert client.post(f"{API}/{WAIT}/take").status_code == 409, "somebody was faster"
    assert client.post(f"{API}/{WAIT}/dismiss", json={"reason": ""}).status_code == 422
    dismissed = client.post(f"{API}/{WAIT}/dismiss", json={"reason": " quầy đang sửa "}).json()
    assert (dismissed["state"], dismissed["decision_reason"]) == ("dismissed", "quầy đang sửa")
    assert client.post(f"{API}/{WAIT}/release").json()["state"] == "open"
    assert len(_entries(context, FlagTaken)) == 1
    assert len(_entries(context, FlagDismissed)) == 1


def test_forms_do_the_same_and_lead_back(browser: OpenBrowser) -> None:
    client = browser(Role.LEAD_INSPECTOR)
    row = client.get("/flags?unit=commune-a").text.partition(f'id="flag-{WAIT}"')[2]
    assert 'name="next" value="/flags?unit=commune-a"' in row.partition("</tr>")[0]
    took = client.post(f"/flags/{WAIT}/take", {"next": "/flags?unit=commune-a"})
    assert took.headers["location"] == "/flags?unit=commune-a"
    assert client.post(f"/flags/{WAIT}/dismiss", {"reason": "  "}).status_code == 422
    assert client.post(f"/flags/{WAIT}/dismiss", {"reason": "x"}).status_code == 303
    page = client.get(f"/flags/{WAIT}").text
    assert "Đã bỏ qua" in page
    assert "Hoàn tác" in page


def test_one_screen_shows_rule_facts_timeline_and_words(
    browser: OpenBrowser, context: ServerContext
) -> None:
    page = browser(Role.INSPECTOR).get(f"/flags/{COMPLAINT}").text
    for words in (
        COMPLAINT_WORDS,
        "Gợi ý, đòi tiền",
        'class="lane-citizen is-unknown"',
        "#unknown-",
    ):
        assert words in page
    assert "is-covered" in page
    (viewed,) = _entries(context, Viewed)
    assert isinstance(viewed, Viewed)
    assert (viewed.by, viewed.what) == ("inspector-district", "feedback.words")


def test_a_script_in_a_comment_is_shown_and_does_not_run(
    browser: OpenBrowser, context: ServerContext
) -> None:
    with context.database.transaction() as db:
        row = db.exec(select(FeedbackRow).where(FeedbackRow.comment == COMPLAINT_WORDS)).first()
        assert row is not None
        flag = db.get_one(FlagRow, COMPLAINT)
        flag.feedback_id, row.comment = row.feedback_id, "<script>alert(1)</script>"
    page = browser(Role.INSPECTOR).get(f"/flags/{COMPLAINT}")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "unsafe" not in page.headers["content-security-policy"]


def test_a_line_to_the_citizen_stands_in_the_conversation(browser: OpenBrowser) -> None:
    client = browser(Role.INSPECTOR)
    answer = client.post(f"/flags/{COMPLAINT}/answer", {"words": "Chúng tôi đang xác minh."})
    assert answer.status_code == 303, answer.text
    assert "Chúng tôi đang xác minh." in client.get(f"/flags/{COMPLAINT}").text
    assert client.post(f"/flags/{WAIT}/answer", {"words": "x"}).status_code == 404
    assert browser(Role.AUDITOR).post(f"/flags/{COMPLAINT}/answer").status_code == 404


def test_seeing_the_notification_is_on_record(browser: OpenBrowser) -> None:
    client = browser(Role.INSPECTOR)
    assert client.post(f"/flags/{COMPLAINT}/acknowledge").status_code == 303
    assert "inspector-district" in client.get(f"/flags/{COMPLAINT}").text


@pytest.mark.parametrize("role", UNIT_SIDE)
def test_the_units_own_chain_never_learns_of_a_complaint(browser: OpenBrowser, role: Role) -> None:
    client = browser(role)
    for flag in (COMPLAINT, GAP):
        assert client.get(f"/flags/{flag}").status_code == 404
        assert client.get(f"{API}/{flag}").status_code == 404
        assert client.post(f"{API}/{flag}/take").status_code == 404
    session = make_id("session-commune-a")
    for path in (
        "/flags?state=all",
        "/flags?rule=complaint",
        f"/flags/{WAIT}",
        f"/sessions/{session}",
        "/sessions",
        "/devices/device-commune-a",
        "/units/commune-a",
        "/scorecards",
        "/scorecards?month=2026-03",
        f"{API}?state=all",
        f"/api/v1/sessions/{session}",
        f"/api/v1/sessions/{session}/timeline",
        "/api/v1/scorecards?month=2026-03",
        "/metrics",
    ):
        text = client.get(path).text
        for secret in (COMPLAINT, GAP, COMPLAINT_WORDS, "complaint", "feedback", "phàn nàn"):
            assert secret not in text.replace("rule=complaint", ""), f"{role} {path}: {secret}"


def test_the_units_own_chain_does_not_read_why_it_was_dismissed(browser: OpenBrowser) -> None:
    browser(Role.INSPECTOR).post(f"{API}/{WAIT}/dismiss", json={"reason": "trùng phản ánh"})
    chief = browser(Role.SUPERVISOR)
    assert "trùng phản ánh" not in chief.get(f"/flags/{WAIT}").text
    assert chief.get(f"{API}/{WAIT}").json()["decision_reason"] is None


def test_an_empty_queue_says_what_it_is(browser: OpenBrowser) -> None:
    assert "Không có cảnh báo nào" in browser(Role.INSPECTOR).get("/flags?rule=camera_lost").text


def test_the_unit_s_own_chain_sees_no_places_in_logs(
    browser: OpenBrowser, context: ServerContext
) -> None:
    places = {"log_sequence": 4711, "began_with": {"epoch": 1, "sequence": 4712}}
    flag = make_flag("commune-a", "silent", "device_silent", facts={"threshold_s": 900, **places})
    with context.database.transaction() as db:
        db.add(flag)
    inspector, chief = browser(Role.INSPECTOR), browser(Role.SUPERVISOR)
    path = f"{API}/{make_id('silent')}"
    assert inspector.get(path).json()["facts"] == {"threshold_s": 900, **places}
    assert chief.get(path).json()["facts"] == {"threshold_s": 900}
    path = f"/flags/{make_id('silent')}"
    assert "4.711" in inspector.get(path).text
    theirs = chief.get(path)
    assert theirs.status_code == 200
    assert "4.711" not in theirs.text
