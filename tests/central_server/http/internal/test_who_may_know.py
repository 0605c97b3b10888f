"""A complaint made by phone is known to the inspection side and to nobody of the unit's chain."""

import pytest

from central_server.domain.permissions import Role
from central_server.http.public_app import make_public_app
from central_server.services.context import ServerContext
from tests.central_server.http.citizen import Citizen, code_on
from tests.central_server.http.internal.conftest import OpenBrowser

WORDS = "Điều chỉ đoàn kiểm tra được biết"
PAGES = (
    "/flags",
    "/flags?rule=complaint",
    "/scorecards",
    "/sessions",
    "/units",
    "/units/commune-a",
    "/devices",
    "/devices/device-commune-a",
    "/hotline",
    "/audit",
    "/posters/desk-commune-a",
    "/api/v1/flags",
    "/api/v1/sessions",
    "/api/v1/scorecards",
)
SEES_WORDS = {Role.LEAD_INSPECTOR, Role.INSPECTOR, Role.AUDITOR}


@pytest.fixture
def before(context: ServerContext, browser: OpenBrowser) -> dict[tuple[Role, str], str]:
    """What each role's pages say while there is no complaint by phone."""
    return read_all(browser)


def read_all(browser: OpenBrowser) -> dict[tuple[Role, str], str]:
    said = {}
    for role in set(Role) - SEES_WORDS:
        opened = browser(role)
        for page in PAGES:
            said[role, page] = opened.get(page).text.replace(opened.headers["X-CSRF-Token"], "")
    return said


def complain(context: ServerContext) -> str:
    """A citizen taps, gives a reason and writes; returns the receipt's code."""
    citizen = Citizen(make_public_app(context))
    thanks = citizen.add(
        citizen.tap(1, "/r/desk-commune-a"),
        {"rating": "1", "reason": "asked_for_money", "comment": WORDS, "contact": "0900 000 111"},
    )
    code = code_on(thanks)
    assert code is not None
    return code


def test_no_page_of_the_unit_s_chain_changes_when_somebody_complains(
    context: ServerContext, browser: OpenBrowser, before: dict[tuple[Role, str], str]
) -> None:
    code = complain(context)
    after = read_all(browser)
    for (role, page), text in after.items():
        assert WORDS not in text, (role, page)
        assert code not in text, (role, page)
        assert "0900 000 111" not in text, (role, page)
        if page != "/hotline":  # each form there has its own nonce
            assert text == before[role, page], (role, page)


@pytest.mark.parametrize("role", sorted(SEES_WORDS))
def test_the_inspection_side_sees_the_flag_and_the_words(
    context: ServerContext, browser: OpenBrowser, role: Role
) -> None:
    complain(context)
    inspector = browser(role)
    flags = inspector.get("/api/v1/flags?rule=complaint").json()
    pages = [inspector.get(f"/flags/{flag['flag_id']}").text for flag in flags["items"]]
    assert [WORDS in page for page in pages].count(True) == 1
