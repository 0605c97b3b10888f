"""What open pages show without reload: a session, a complaint, a tap made without a network."""

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.end_to_end.province import BROKERS, DeskAgent, Province, open_as_lead
from tests.processes.browser import open_page
from tests.processes.cable import Cable
from tests.processes.edge_agent import DESK
from tests.processes.ports import wait_until

SEEN_WITHIN_MS = 15_000

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


class Desk(NamedTuple):
    """A drawn desk on its server, and the cable between them."""

    province: Province
    agent: DeskAgent
    cable: Cable


@pytest.fixture(scope="module", params=BROKERS)
def desk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """One for each broker; the drawn room's first citizen comes after some ten seconds."""
    folder = tmp_path_factory.mktemp(request.param)
    agent = DeskAgent(folder / "agent", {"source": "scene:1"})
    with (
        Province(folder / "province", request.param) as province,
        Cable(province.broker_port) as cable,
    ):
        province.enrol(agent, cable.port)
        with agent:
            yield Desk(province, agent, cable)


def complaints_on(page: Page) -> int:
    return page.locator("tr.flag").count()


def test_a_complaint_by_phone_appears_on_an_open_page(desk: Desk) -> None:
    with open_page() as page:
        open_as_lead(page, desk.province)
        before = complaints_on(page)
        receipt = desk.province.complain_by_phone()
        expect(page.locator("tr.flag")).to_have_count(before + 1, timeout=SEEN_WITHIN_MS)
        grave = page.locator("tr.flag", has_text="Critical")
        expect(grave).to_have_count(1, timeout=SEEN_WITHIN_MS)
        page.goto(f"{desk.province.url}/receipt?lang=en")
        page.get_by_role("textbox").first.fill(receipt)
        page.get_by_role("textbox").first.press("Enter")
        expect(page.locator("main")).to_contain_text("The inspection team has your complaint")


def test_a_tap_without_a_network_is_a_flag_once_it_is_back(desk: Desk) -> None:
    with open_page() as page:
        open_as_lead(page, desk.province)
        before = complaints_on(page)
        desk.cable.cut()
        desk.agent.tap(1)
        numbers = [number for number, _ in desk.agent.events()]
        page.wait_for_timeout(500)
        assert complaints_on(page) == before
        assert numbers[-1] > received_through(desk.province)
        desk.cable.mend()
        expect(page.locator("tr.flag")).to_have_count(before + 1, timeout=2 * SEEN_WITHIN_MS)


@pytest.mark.parametrize("is_cut", [False, True], ids=["with a network", "without a network"])
def test_a_receipt_made_at_the_kiosk_opens_on_the_servers_page(desk: Desk, is_cut: bool) -> None:
    if is_cut:
        desk.cable.cut()
    with open_page() as page:
        code = complain_at_kiosk(page, desk.agent)
        if is_cut:
            answer = look_up(desk.province, code)
            assert answer.status_code == 404
            assert "may arrive late while the network there is down" in answer.text
            desk.cable.mend()
        wait_until(lambda: look_up(desk.province, code).is_success, 30, "the complaint")
        page.goto(f"{desk.province.url}/receipt?lang=en")
        page.get_by_role("textbox").fill(code)
        page.get_by_role("textbox").press("Enter")
        expect(page.locator("main")).to_contain_text("The inspection team has your complaint")
        page.get_by_role("textbox").fill("I still have the slip.")
        page.get_by_role("button", name="Send").click()
        expect(page.locator("ol.talk")).to_contain_text("I still have the slip.")


def look_up(province: Province, code: str) -> httpx.Response:
    return httpx.post(f"{province.url}/receipt?lang=en", data={"code": code}, timeout=20)


def complain_at_kiosk(tablet: Page, agent: DeskAgent) -> str:
    """Touch the worst face on the agent's own page; the code that it thanks with."""
    tablet.goto(f"{agent.url}/kiosk/{DESK}?lang=en")
    tablet.locator("button[name=rating][value='1']").click()
    tablet.wait_for_url("**/thanks*")
    return tablet.locator("output").inner_text()


def received_through(province: Province) -> int:
    """The newest event that the server holds."""
    return int(province.rows("SELECT coalesce(max(sequence), 0) FROM event")[0][0])


def test_a_drawn_citizen_is_a_session_on_a_page(desk: Desk) -> None:
    def is_there() -> bool:
        return bool(desk.province.list_items("sessions"))

    wait_until(is_there, 60, "a session")
    session = desk.province.list_items("sessions")[0]
    assert session["desk"] == DESK
    assert session["state"] in {"serving", "ended"}
    with open_page() as page:
        open_as_lead(page, desk.province)
        page.goto(f"{desk.province.url}/sessions?lang=en")
        expect(page.locator(f"a[href*='{session['session_id']}']").first).to_be_visible()
