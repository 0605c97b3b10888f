"""The other pages and their JSON: sessions, devices, units, scorecards, audit, errors, health."""

from datetime import date, timedelta
from html import escape

import orjson
import pytest
from fastapi import FastAPI

from central_server.domain.permissions import Role
from central_server.http.app import make_internal_app
from central_server.services import ingest, projector
from central_server.services.context import ServerContext
from central_server.services.filing import Incoming
from central_server.storage.tables import DeskDayRow, DeviceRow
from tests.central_server.factories import EdgeChain
from tests.central_server.http.internal.browser import Browser
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.factories import (
    NOW,
    make_desk_day,
    make_id,
    make_ratings,
    make_session,
)

# They sign, and know no session.
FOR_DEVICES = ("enrolments", "certificates", "authority")
SESSION = make_id("session-commune-a")
FEBRUARY = NOW.replace(month=2, day=10)


def test_a_session_as_json_says_all_that_is_known(browser: OpenBrowser) -> None:
    session = browser(Role.SUPERVISOR).get(f"/api/v1/sessions/{SESSION}").json()
    assert session == {
        "session_id": SESSION,
        "desk": "desk-commune-a",
        "unit_id": "commune-a",
        "device": "device-commune-a",
        "state": "ended",
        "arrived_at": "2026-03-18T02:00:00.000Z",
        "service_started_at": "2026-03-18T02:04:00.000Z",
        "ended_at": "2026-03-18T02:12:00.000Z",
        "wait_s": 240.0,
        "service_s": 480.0,
        "officer_absent_s": 0.0,
        "unobserved_s": 60.0,
        "certainty": 0.92,
        "slip": None,
        "clock_suspect": False,
    }


def test_its_timeline_has_no_holes(browser: OpenBrowser) -> None:
    timeline = browser(Role.SUPERVISOR).get(f"/api/v1/sessions/{SESSION}/timeline").json()
    for lane in ("citizen", "officer", "camera"):
        segments = [s for s in timeline["segments"] if s["lane"] == lane]
        ends = [timeline["begin"], *(s["end"] for s in segments)]
        assert [s["begin"] for s in segments] + [timeline["end"]] == ends
    states = [s["state"] for s in timeline["segments"] if s["lane"] == "citizen"]
    assert states == ["empty", "occupied", "unknown", "occupied", "empty"]


def test_sessions_page_through_in_order(browser: OpenBrowser, context: ServerContext) -> None:
    with context.database.transaction() as db:
        for number in range(60):
            at = NOW - timedelta(days=1, minutes=number // 2)  # pairs of equal times
            db.add(make_session("commune-a", f"many-{number}", at))
    client, cursor, seen = browser(Role.INSPECTOR), "", []
    while cursor is not None:
        page = client.get(
            "/api/v1/sessions", params={"limit": 7, "cursor": cursor, "unit": "commune-a"}
        ).json()
        seen += [(item["arrived_at"], item["session_id"]) for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(set(seen)) == 61
    assert seen == sorted(seen, reverse=True)
    first = client.get("/sessions?unit=commune-a").text
    assert "Trang sau" in first
    assert first.count("/sessions/") == 50


def test_sessions_empty_state_says_where_to_look(browser: OpenBrowser) -> None:
    assert "Thiết bị" in browser(Role.INSPECTOR).get("/sessions?state=abandoned").text


def test_devices_in_trouble_come_first(browser: OpenBrowser, context: ServerContext) -> None:
    with context.database.transaction() as db:
        silent = db.get(DeviceRow, "device-commune-b")
        assert silent is not None
        silent.silent_since = NOW
    client = browser(Role.UNIT_OFFICER)
    items = client.get("/api/v1/devices").json()["items"]
    assert [item["health"] for item in items] == ["silent", "online"]
    assert (items[0]["missing"], items[0]["waiting"]) == (3, 2)
    assert "password" not in str(items)
    assert "public_key" not in str(items)
    assert "Gọi cho đơn vị" in client.get("/devices/device-commune-b").text
    assert "device-commune-a" not in client.get("/devices?health=silent").text


def test_a_device_speaks_of_itself_in_words_and_units(browser: OpenBrowser) -> None:
    page = browser(Role.UNIT_OFFICER).get("/devices/device-commune-a?lang=en").text
    for words in ("Processor", "31.5 %", "Events to be sent", "picture good · 12.5 fps"):
        assert words in page
    assert "Clock offset" not in page, "unknown is not shown as a figure"


@pytest.mark.parametrize(
    ("fault", "words"),
    [("ahead", "an event that this device never wrote"), ("mismatch", "under the same number")],
)
def test_receipts_that_do_not_fit_a_devices_chain_are_told(
    browser: OpenBrowser, context: ServerContext, fault: str, words: str
) -> None:
    with context.database.transaction() as db:
        device = db.get(DeviceRow, "device-commune-a")
        assert device is not None
        device.telemetry = device.telemetry | {"receipt_fault": fault}
    page = browser(Role.UNIT_OFFICER).get("/devices/device-commune-a?lang=en").text
    assert words in page
    assert "look at it on site" in page


def test_a_second_look_that_was_switched_off_is_told_with_its_reason(
    browser: OpenBrowser, context: ServerContext
) -> None:
    with context.database.transaction() as db:
        device = db.get(DeviceRow, "device-commune-a")
        assert device is not None
        device.telemetry = device.telemetry | {"confirmer_problem": "no answer within 10 s"}
    page = browser(Role.UNIT_OFFICER).get("/devices/device-commune-a?lang=en").text
    assert "presence goes on without it" in page
    assert "no answer within 10 s" in page


def test_what_does_not_count_is_told_with_its_reason(
    browser: OpenBrowser, context: ServerContext
) -> None:
    device = "device-commune-a"
    chain = EdgeChain(device=device, epoch=2)
    wrong = orjson.loads(chain.presence().payload) | {"data": {"zone": 7}}
    topic = f"onestop/v1/{device}/events"
    strange = chain.presence(desk="desk-nowhere")
    again = orjson.loads(strange.payload) | {"boot": 9}
    ingest.append(
        context,
        [
            Incoming(topic, orjson.dumps(wrong)),
            strange,
            Incoming(topic, orjson.dumps(again)),
            Incoming(topic, b"no json"),
            Incoming("onestop/v1/device-unknown/events", chain.presence().payload),
            EdgeChain(device="device-unknown").presence(),
        ],
    )
    projector.project_devices(context, [(device, 2)])
    path = f"/devices/{device}"
    administrator, inspector = browser(Role.ADMINISTRATOR), browser(Role.INSPECTOR)
    for words in ("desk-nowhere", "2/1", "Bị từ chối: <code>", "not JSON"):
        assert words in administrator.get(path).text
        assert words in inspector.get(path).text
    incident = "the position is known with other bytes"
    assert incident in inspector.get(path).text
    assert incident not in administrator.get(path).text, "integrity is the inspection side's"
    for role in (Role.SUPERVISOR, Role.UNIT_OFFICER):
        page = browser(role).get(path).text
        assert "desk-nowhere" in page
        assert not any(words in page for words in ("2/1", "Bị từ chối", incident))
    assert "device-unknown" in administrator.get("/devices").text
    assert "device-unknown" not in inspector.get("/devices").text
    assert "what it says is kept" in administrator.get(f"{path}?lang=en").text.lower()


def test_units_stand_as_a_tree(browser: OpenBrowser) -> None:
    client = browser(Role.INSPECTOR, "province")
    page = client.get("/units").text
    names = ["Tỉnh mẫu", "Cụm Bắc", "Phường Bến Đò", "Xã An Bình", "Cụm Nam", "Xã Cẩm Sơn"]
    places = [page.index(name) for name in names]
    assert places == sorted(places)
    assert client.get("/api/v1/units/commune-a").json()["desks"] == ["desk-commune-a"]
    assert "Xã An Bình" in client.get("/units/district").text


@pytest.fixture
def _february(context: ServerContext) -> None:
    """A month that is over: 40 sessions and 8 ratings in one commune, 3 ratings in the other."""
    with context.database.transaction() as db:
        for number in range(40):
            state = "uncertain" if number < 8 else "ended"
            at = FEBRUARY + timedelta(minutes=20 * number)
            db.add(make_session("commune-a", f"feb-{number}", at, state=state))
        for row in make_ratings("commune-a", [5, 5, 5, 4, 4, 4, 3, 1], FEBRUARY):
            db.add(row)
        for row in make_ratings("commune-b", [1, 1, 2], FEBRUARY):
            db.add(row)
        db.add(make_desk_day("commune-a", date(2026, 2, 11), 0.45))


@pytest.mark.usefixtures("_february")
def test_a_chief_sees_whole_months_and_no_small_groups(browser: OpenBrowser) -> None:
    client = browser(Role.SUPERVISOR)
    card = client.get("/api/v1/scorecards").json()
    assert card["month"] == "2026-02", "the last whole month"
    units = {unit["unit_id"]: unit for unit in card["units"]}
    rating = units["commune-a"]["rating"]
    assert (rating["answers"], rating["satisfied_share"], rating["coverage"]) == (8, 0.75, 0.25)
    assert rating["interval_low"] < 0.75 < rating["interval_high"]
    # February 2026 from its first day: 20 weekdays but for Tết's 5, of 8 hours each.
    assert units["commune-a"]["observed_share"] == pytest.approx((0.95 + 0.45) / 15)
    assert units["commune-b"]["rating"] is None
    assert card["total"]["rating"]["answers"] == 8, "less the shown ones, nothing is left to learn"
    running = client.get("/api/v1/scorecards?month=2026-03").json()
    assert [unit["rating"] for unit in running["units"]] == [None, None]
    assert [unit["open_flags"] for unit in running["units"]] == [1, 1], "no complaint among them"


def test_a_desk_that_was_silent_all_month_is_no_perfect_one(
    browser: OpenBrowser, context: ServerContext
) -> None:
    with context.database.transaction() as db:
        db.delete(
            db.get_one(DeskDayRow, ("desk-commune-b", date(2026, 2, 10), "device-commune-b", 1))
        )
    months = {
        month: {unit["unit_id"]: unit["observed_share"] for unit in card["units"]}
        for month in ("2026-01", "2026-02", "2026-03")
        for card in [browser(Role.SUPERVISOR).get(f"/api/v1/scorecards?month={month}").json()]
    }
    assert months["2026-02"] == {"commune-a": pytest.approx(0.95 / 15), "commune-b": 0.0}
    assert months["2026-03"]["commune-a"] == 0.0, "of the month so far"
    assert months["2026-01"]["commune-b"] == 0.0, "from the day on which its box was paired"


@pytest.mark.usefixtures("_february")
def test_the_inspection_side_sees_them_all(browser: OpenBrowser) -> None:
    card = browser(Role.INSPECTOR).get("/api/v1/scorecards").json()
    assert card["total"]["rating"]["answers"] == 11


@pytest.mark.usefixtures("_february")
def test_each_figure_opens_the_list_it_was_computed_from(browser: OpenBrowser) -> None:
    client = browser(Role.SUPERVISOR)
    page = client.get("/scorecards").text
    days = "unit=commune-a&own=1&since=2026-02-01&until=2026-02-28"
    assert f'href="/sessions?{days.replace("&", "&amp;")}"' in page or days in page
    listed = client.get(f"/api/v1/sessions?{days}&limit=200").json()["items"]
    assert len(listed) == 40
    assert "chỉ quan sát được 9,3 %" in page
    assert "dưới 5 đánh giá" in page


@pytest.mark.parametrize("month", ["2026-04", "2099-12", "2026-13", "feb"])
def test_no_month_that_is_not_yet(browser: OpenBrowser, month: str) -> None:
    assert browser(Role.SUPERVISOR).get(f"/scorecards?month={month}").status_code == 404


def test_an_auditor_reads_who_looked_and_who_decided(browser: OpenBrowser) -> None:
    flag = make_id("complaint-commune-a")
    inspector = browser(Role.INSPECTOR)
    inspector.get(f"/flags/{flag}")
    inspector.post(f"/flags/{flag}/dismiss", {"reason": "đã gặp người dân"})
    page = browser(Role.AUDITOR, "province").get("/audit").text
    for words in (
        "inspector-district",
        "lời của người dân",
        flag,
        "đã gặp người dân",
        "Áp dụng bộ",
    ):
        assert words in page
    auditor = browser(Role.AUDITOR, "province")
    assert "lời của người dân" not in auditor.get("/audit?type=flag.dismissed").text
    assert auditor.get("/audit?type=secret").status_code == 404
    for role in set(Role) - {Role.AUDITOR}:
        assert browser(role).get("/audit").status_code == 404


@pytest.mark.parametrize("role", Role)
def test_everybody_starts_at_their_own_work(browser: OpenBrowser, role: Role) -> None:
    client = browser(role)
    first = client.get(client.get("/").headers["location"])
    assert first.status_code == 200
    assert 'aria-current="page"' in first.text


def test_english_is_an_equal_and_remembered(browser: OpenBrowser) -> None:
    client = browser(Role.INSPECTOR)
    client.headers["accept-language"] = "en-US,en;q=0.9"
    assert '<html lang="vi">' in client.get("/flags").text, "whatever the browser would like"
    english = client.get("/flags?lang=en").text
    assert '<html lang="en">' in english
    assert "Somebody" not in english
    assert ">Critical<" in client.get("/flags").text, "remembered"
    assert client.get("/api/v1/flags/nothing").status_code == 422
    assert client.get(f"/api/v1/flags/{make_id('x')}").json()["title"] == "Not found"


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("/flags", "?lang=en"),
        ("/flags?severity=major&unit=commune-a", "?severity=major&unit=commune-a&lang=en"),
        ("/sessions?lang=vi&state=ended", "?state=ended&lang=en"),
        ("/scorecards?month=2026-02", "?month=2026-02&lang=en"),
        ("/flags?rule=%22%3E%3Cscript%3E", "?rule=%22%3E%3Cscript%3E&lang=en"),
        ("/nothing?lang=vi", "?lang=en"),
    ],
)
def test_the_other_language_keeps_the_filters(browser: OpenBrowser, path: str, link: str) -> None:
    page = browser(Role.INSPECTOR).get(path).text
    assert f'<a href="{escape(link)}" lang="en"' in page


def test_every_answer_keeps_others_out(browser: OpenBrowser) -> None:
    for path in ("/login", "/nothing", "/healthz", "/api/v1/openapi.json", "/static/theme.css"):
        headers = browser().get(path, headers={"origin": "https://elsewhere.example"}).headers
        policy = headers["content-security-policy"]
        for directive in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert directive in policy
        assert not [word for word in ("unsafe", "http:", "https:", "*") if word in policy]
        assert "access-control-allow-origin" not in headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
    assert browser().get("/login").headers["cache-control"] == "no-store"


def test_our_own_fault_is_told_without_its_insides(context: ServerContext) -> None:
    app = make_internal_app(context)  # the shared one keeps its routes

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("secret insides")

    answer = Browser(app).get("/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Lỗi hệ thống" in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/login", "/hotline", "/api/v1/session", "/api/v1/enrolments"])
def test_no_door_takes_a_body_larger_than_any_form(browser: OpenBrowser, path: str) -> None:
    answer = browser().post(path, {"user": "a" * 70_000})
    assert answer.status_code == 413
    assert "quá lớn" in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_database_that_is_gone_is_said(browser: OpenBrowser, context: ServerContext) -> None:
    with context.database.transaction() as db:
        db.connection().exec_driver_sql("ALTER TABLE login RENAME TO moved")
    answer = browser(None).get("/flags", headers={"cookie": "onestop_session=x"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_machines_are_told_how_it_stands(browser: OpenBrowser) -> None:
    client = browser()
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready == {
        "status": "ok",
        "database": True,
        "migrations": True,
        "broker": None,
        "events_behind": 6,
    }
    assert client.get("/metrics").text.startswith("# HELP")


def test_not_ready_without_the_broker_or_the_schema(
    app: FastAPI, browser: OpenBrowser, context: ServerContext
) -> None:
    app.state.broker_is_linked = lambda: False
    answer = browser().get("/readyz")
    assert (answer.status_code, answer.json()["broker"]) == (503, False)
    app.state.broker_is_linked = lambda: True
    with context.database.transaction() as db:
        db.connection().exec_driver_sql("DELETE FROM alembic_version")
    assert browser().get("/readyz").json()["migrations"] is False


def test_openapi_names_every_operation_and_its_errors(browser: OpenBrowser) -> None:
    document = browser().get("/api/v1/openapi.json").json()
    names = set()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            names.add(operation["operationId"])
            assert operation["summary"]
            assert operation.get("description")
            if path.startswith("/api/v1/") and not path.endswith(FOR_DEVICES):
                assert {"401", "404", "422"} <= set(operation["responses"])
    assert len(names) == sum(len(operations) for operations in document["paths"].values())
    assert "HTTPValidationError" not in document["components"]["schemas"]
