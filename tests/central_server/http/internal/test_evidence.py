"""Pictures on a flag's page and as JSON: asked for, here, or why not; for the inspection side."""

import re
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from playwright.sync_api import Page

from central_server.domain.permissions import Role
from central_server.http.dependencies import COOKIE
from central_server.services import evidence
from central_server.services.context import ServerContext
from central_server.storage import evidence as evidence_store
from central_server.storage.evidence_tables import EvidenceRequestRow
from event_protocol.canonical import sha256_hex
from event_protocol.evidence import Span, Unavailable
from tests.central_server.evidence_box import Box, make_clip, make_snapshot
from tests.central_server.http.internal.browser import Browser
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.central_server.http.served import serve
from tests.factories import make_id
from tests.processes.accessibility import grave_faults
from tests.processes.browser import open_page

FLAG = make_id("wait-commune-a")
PAGE = f"/flags/{FLAG}"
CLIP = make_clip()
WHY = "kiểm tra việc chờ lâu"
UNIT_S_CHAIN = {Role.ADMINISTRATOR, Role.SUPERVISOR, Role.UNIT_OFFICER, Role.OPERATOR}


@pytest.fixture
def box(app: FastAPI, context: ServerContext) -> Box:
    return Box(context, "device-commune-a", Browser(app).ask)


@pytest.fixture
def inspector(browser: OpenBrowser) -> Browser:
    return browser(Role.INSPECTOR)


@pytest.fixture
def ask(context: ServerContext, inspector: Browser) -> Callable[..., EvidenceRequestRow]:
    """Asks by the page's form, as it stands there; the request that came of it."""

    def ask_by_form(kind: str = "clip") -> EvidenceRequestRow:
        assert f'action="{PAGE}/evidence"' in inspector.get(PAGE).text
        answer = inspector.post(f"{PAGE}/evidence", {"kind": kind, "reason": WHY})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}#evidence")
        [latest, *_] = inspector.get(f"/api/v1{PAGE}/evidence").json()["items"]
        with context.database.reading() as db:
            row = evidence_store.get_row(db, latest["request_id"])
        assert row is not None
        return row

    return ask_by_form


def test_a_page_never_leaves_the_state_blank(
    inspector: Browser, ask: Callable[..., EvidenceRequestRow], box: Box
) -> None:
    assert "Chưa có yêu cầu nào" in inspector.get(PAGE).text
    row = ask()
    assert "đã yêu cầu" in inspector.get(PAGE).text
    box.send("PUT", row.request_id, box.sign(box.report(row, CLIP)))
    box.send("PATCH", row.request_id, CLIP[:100], offset=0)
    page = inspector.get(PAGE).text
    assert f'<progress max="{len(CLIP)}" value="100">' in page
    box.upload(row, CLIP)
    page = inspector.get(PAGE).text
    assert f'action="/evidence/{row.request_id}/view"' in page
    assert "<video" not in page
    assert sha256_hex(CLIP) in page


def test_what_can_t_be_had_is_said_with_what_there_is(
    inspector: Browser, ask: Callable[..., EvidenceRequestRow], box: Box
) -> None:
    row = ask()
    part = Span(begin=row.begin, end=row.begin.replace(second=58))
    said = box.report(row, reason=Unavailable.OVERWRITTEN, covered=(part,))
    box.send("PUT", row.request_id, box.sign(said))
    page = inspector.get(PAGE).text
    assert "đã bị ghi đè" in page
    assert "08:59:55</time>–" in page
    assert "08:59:58" in page
    answer = inspector.get(f"/api/v1/evidence/{row.request_id}").json()
    assert (answer["state"], answer["reason"]) == ("unavailable", "overwritten")
    assert answer["missing"] == [
        {"begin": "2026-03-18T01:59:58.000Z", "end": "2026-03-18T02:12:05.000Z"}
    ]
    ask()  # may be asked again


def test_a_flag_that_no_camera_saw_says_so(inspector: Browser) -> None:
    page = inspector.get(f"/flags/{make_id('gap-commune-a')}").text
    assert "Không có camera nào" in page
    assert "/evidence" not in page


def test_pictures_are_opened_with_a_reason_and_served_by_ranges(
    inspector: Browser, browser: OpenBrowser, ask: Callable[..., EvidenceRequestRow], box: Box
) -> None:
    row = ask()
    box.upload(row, CLIP)
    content = f"/evidence/{row.request_id}/content"
    assert inspector.get(content).status_code == 409
    assert inspector.post(f"/evidence/{row.request_id}/view", {"reason": ""}).status_code == 422
    inspector.post(f"/evidence/{row.request_id}/view", {"reason": WHY})
    assert f'src="{content}"' in inspector.get(PAGE).text
    whole = inspector.get(content)
    assert (whole.status_code, whole.content) == (200, CLIP)
    assert {
        name: whole.headers[name]
        for name in ("content-type", "cache-control", "x-content-type-options", "accept-ranges")
    } == {
        "content-type": "video/mp4",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "accept-ranges": "bytes",
    }
    assert "sandbox" in whole.headers["content-security-policy"]
    assert whole.headers["content-disposition"] == f'inline; filename="{row.request_id}.mp4"'
    part = inspector.get(content, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, CLIP[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(CLIP)}"
    assert inspector.get(content, headers={"Range": "bytes=99999999-"}).status_code == 416
    # Another inspector has to say why for himself.
    assert browser(Role.AUDITOR).get(content).status_code == 409


def test_an_open_page_is_told_of_news_alone(
    inspector: Browser, ask: Callable[..., EvidenceRequestRow], box: Box
) -> None:
    row = ask()

    def follow() -> httpx.Response:
        [place] = re.findall(r'data-follow="([^"]+)"', shown)
        return inspector.get(place)

    shown = inspector.get(PAGE).text
    assert (follow().status_code, follow().content) == (204, b"")
    box.send("PUT", row.request_id, box.sign(box.report(row, CLIP)))
    box.send("PATCH", row.request_id, CLIP[:100], offset=0)
    shown = follow().text
    assert shown.strip().startswith("<article")
    assert f'<progress max="{len(CLIP)}" value="100">' in shown
    assert follow().status_code == 204
    box.send("PATCH", row.request_id, CLIP[100:], offset=100)
    shown = follow().text
    assert f'action="/evidence/{row.request_id}/view"' in shown
    assert "data-follow" not in shown


def test_who_asked_and_looked_stands_on_the_page_and_in_the_audit(
    inspector: Browser, browser: OpenBrowser, ask: Callable[..., EvidenceRequestRow], box: Box
) -> None:
    row = ask()
    box.upload(row, CLIP)
    auditor = browser(Role.AUDITOR)
    auditor.post(f"/evidence/{row.request_id}/view", {"reason": "kiểm tra lại"})
    page = inspector.get(PAGE).text
    for said in ("inspector-district", WHY, "auditor-district", "kiểm tra lại"):
        assert said in page
    audit = auditor.get("/audit?type=evidence.viewed").text
    assert "kiểm tra lại" in audit
    assert row.request_id in audit
    assert f'action="{PAGE}/evidence"' not in auditor.get(PAGE).text  # looks, but does not ask


def test_a_file_that_is_lost_is_said_to_be(
    inspector: Browser,
    ask: Callable[..., EvidenceRequestRow],
    box: Box,
    context: ServerContext,
) -> None:
    row = ask()
    box.upload(row, CLIP)
    evidence.files_of(context).erase(sha256_hex(CLIP))
    assert "không còn trên đĩa của máy chủ" in inspector.get(PAGE).text


def test_a_hold_is_set_and_lifted_on_the_page(
    inspector: Browser, ask: Callable[..., EvidenceRequestRow], box: Box
) -> None:
    row = ask()
    for step, other in (("hold", "lift"), ("lift", "hold")):
        assert f"/{row.request_id}/{step}" in inspector.get(PAGE).text
        inspector.post(f"/evidence/{row.request_id}/{step}", {"reason": "khiếu nại"})
        assert f"/{row.request_id}/{other}" in inspector.get(PAGE).text


def test_the_same_as_json(inspector: Browser, box: Box, context: ServerContext) -> None:
    asked = inspector.post(f"/api/v1{PAGE}/evidence", json={"kind": "snapshot", "reason": WHY})
    assert (asked.status_code, asked.json()["state"]) == (201, "asked")
    again = inspector.post(f"/api/v1{PAGE}/evidence", json={"kind": "snapshot", "reason": WHY})
    assert again.status_code == 409
    place = f"/api/v1/evidence/{asked.json()['request_id']}"
    with context.database.reading() as db:
        row = evidence_store.get_row(db, asked.json()["request_id"])
    assert row is not None
    box.upload(row, make_snapshot())
    assert inspector.get(f"{place}/content").status_code == 409
    opened = inspector.post(f"{place}/views", json={"reason": WHY}).json()
    assert [done["type"] for done in opened["history"]] == [
        "evidence.asked",
        "evidence.received",
        "evidence.viewed",
    ]
    picture = inspector.get(f"{place}/content")
    assert (picture.headers["content-type"], picture.content) == ("image/jpeg", make_snapshot())
    assert inspector.post(f"{place}/hold", json={"reason": WHY}).json()["held"] is True
    assert inspector.post(f"{place}/lift", json={"reason": WHY}).json()["held"] is False


def test_the_unit_s_chain_sees_nothing_of_it(
    browser: OpenBrowser, ask: Callable[..., EvidenceRequestRow], box: Box
) -> None:
    pages = (
        PAGE, "/flags", "/sessions", f"/sessions/{make_id('session-commune-a')}", "/devices",
        "/devices/device-commune-a", "/units/commune-a", "/scorecards", "/audit", "/metrics",
        f"/api/v1{PAGE}", "/api/v1/flags", "/api/v1/devices/device-commune-a",
    )  # fmt: skip

    def read_all() -> dict[tuple[Role, str], str]:
        said = {}
        for role in UNIT_S_CHAIN:
            opened = browser(role)
            for page in pages:
                text = opened.get(page).text.replace(opened.headers["X-CSRF-Token"], "")
                lines = [line for line in text.splitlines() if not line.startswith("process_")]
                said[role, page] = "\n".join(lines)
        return said

    before = read_all()
    row = ask()
    box.upload(row, CLIP)
    for place, text in read_all().items():
        if place[1] != "/metrics":
            assert text == before[place], place
        assert "evidence" not in text, place


def _log_in(page: Page, address: str, browser: OpenBrowser, role: Role) -> None:
    cookie = browser(role).cookies[COOKIE]
    page.context.add_cookies([{"name": COOKIE, "value": cookie, "url": address}])


@pytest.mark.processes
def test_a_clip_is_asked_for_opened_and_played_by_keyboard(
    app: FastAPI, browser: OpenBrowser, context: ServerContext
) -> None:
    with serve(app) as address, httpx.Client(base_url=address) as line, open_page() as page:
        box = Box(context, "device-commune-a", line.request)
        _log_in(page, address, browser, Role.INSPECTOR)
        page.goto(f"{address}{PAGE}?lang=en")
        page.get_by_label("Why it is asked for").focus()
        page.keyboard.type("long wait")
        page.keyboard.press("Enter")
        page.locator(".evidence-asked").wait_for()
        assert grave_faults(page) == []
        with context.database.reading() as db:
            [waiting] = evidence_store.list_outstanding(db)
        box.upload(waiting.request, CLIP)
        assert evidence.files_of(context).has(sha256_hex(CLIP))
        page.get_by_label("Why you look").wait_for()  # comes by itself
        assert page.locator("[data-follow]").count() == 0
        page.get_by_label("Why you look").focus()
        page.keyboard.type("deciding")
        page.keyboard.press("Enter")
        video = page.locator("video")
        video.wait_for()
        video.focus()
        page.keyboard.press("Space")
        video.evaluate(
            "v => new Promise((ended, failed) => {"
            " v.onended = ended; v.onerror = () => failed(v.error.message);"
            " if (v.ended) ended(); v.play(); })"
        )
        assert video.evaluate("v => [v.videoWidth, v.duration, v.error]") == [64, 2, None]
        page.get_by_role("button", name="Arrived").click()  # before the clip's end: it is short
        assert video.evaluate("v => v.currentTime") == 2
        assert grave_faults(page) == []
        for width in (320, 768):
            page.set_viewport_size({"width": width, "height": 800})
            root = "document.documentElement"
            assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
