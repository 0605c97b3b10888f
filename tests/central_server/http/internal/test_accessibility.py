"""Every page for people who log in, in a browser: axe, the keyboard, no width that overflows."""

import pytest
from fastapi import FastAPI
from playwright.sync_api import Page

from central_server.domain.permissions import Role, UnitId, UserId, Viewer
from central_server.domain.second_factors import Stage
from central_server.http.dependencies import COOKIE
from central_server.services import logins
from central_server.services.context import ServerContext
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.central_server.http.served import serve
from tests.factories import make_id
from tests.processes.accessibility import grave_faults
from tests.processes.browser import open_page

pytestmark = pytest.mark.processes

PAGES = {
    Role.LEAD_INSPECTOR: (
        "/flags",
        f"/flags/{make_id('complaint-commune-a')}",
        "/flags?rule=camera_lost",  # none
        "/sessions",
        f"/sessions/{make_id('session-commune-a')}",
        "/units",
        "/units/commune-a",
        "/posters/desk-commune-a",
    ),
    Role.ADMINISTRATOR: ("/devices", "/devices/device-commune-a"),
    Role.SUPERVISOR: ("/scorecards", "/flags"),
    Role.AUDITOR: ("/audit",),
    Role.OPERATOR: ("/hotline", "/account", "/account/second-factor"),
}
NARROWEST = 320  # WCAG 1.4.10: a page of 1280 px at 400 %


def _log_in(page: Page, address: str, browser: OpenBrowser, role: Role) -> None:
    cookie = browser(role).cookies[COOKIE]
    page.context.add_cookies([{"name": COOKIE, "value": cookie, "url": address}])


def _overflow(page: Page) -> int:
    root = "document.documentElement"
    return int(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))


def test_no_page_has_a_grave_fault(
    app: FastAPI, browser: OpenBrowser, context: ServerContext
) -> None:
    faults, overflows = [], {}
    with serve(app) as address, open_page() as page:
        for role, paths in PAGES.items():
            _log_in(page, address, browser, role)
            for path in paths:
                page.set_viewport_size({"width": 1440, "height": 900})
                answer = page.goto(f"{address}{path}")
                assert answer is not None
                assert answer.status == 200, path
                assert page.locator("html").get_attribute("lang") == "vi"
                faults += grave_faults(page)
                page.set_viewport_size({"width": NARROWEST, "height": 800})
                overflows[path] = _overflow(page)
        page.context.clear_cookies()
        page.goto(f"{address}/login?lang=en")
        assert page.locator("html").get_attribute("lang") == "en"
        faults += grave_faults(page)
        operator = Viewer(UserId("operator-district"), Role.OPERATOR, UnitId("district"))
        for stage in (Stage.CODE, Stage.ENROLMENT):
            cookie = logins.open_login(context, operator, stage=stage).token
            page.context.add_cookies([{"name": COOKIE, "value": cookie, "url": address}])
            page.goto(f"{address}/login/second")
            assert page.locator("input[name=code]").is_visible()
            faults += grave_faults(page)
    assert faults == []
    assert not any(overflows.values()), overflows


def test_what_is_folded_on_a_phone_stands_open_on_a_screen(
    app: FastAPI, browser: OpenBrowser
) -> None:
    with serve(app) as address, open_page(width=360) as page:
        _log_in(page, address, browser, Role.LEAD_INSPECTOR)
        page.goto(f"{address}/flags?severity=critical")
        menu, filters = page.locator(".menu"), page.locator(".filters-fold")
        assert menu.locator("summary").inner_text() == "Cảnh báo", "where one is"
        assert filters.locator("summary").inner_text() == "Bộ lọc (đang dùng)"
        for fold, inside in ((menu, "a[href='/units']"), (filters, "select[name=rule]")):
            assert not fold.locator(inside).is_visible()
            fold.locator("summary").press("Enter")
            assert fold.locator(inside).is_visible()
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(f"{address}/flags")
        for fold, inside in ((menu, "a[href='/units']"), (filters, "select[name=rule]")):
            assert not fold.locator("summary").is_visible()
            assert fold.locator(inside).is_visible()


def test_a_flag_is_taken_by_keyboard_alone(app: FastAPI, browser: OpenBrowser) -> None:
    with serve(app) as address, open_page() as page:
        _log_in(page, address, browser, Role.LEAD_INSPECTOR)
        page.goto(f"{address}/flags")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/flags/*-*")
        page.keyboard.press("a")
        page.locator(".state-taken").first.wait_for()
