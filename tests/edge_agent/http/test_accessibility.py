"""The agent's pages in a browser: axe over kiosk, desk screen and every step of the wizard."""

import pytest

from edge_agent.core.desk_zones import Zone
from edge_agent.http.parts import CameraView, DeskView
from event_protocol.events import CameraState, PresenceState, ZoneRole
from tests.edge_agent.http.conftest import PIN, Box
from tests.processes.accessibility import grave_faults
from tests.processes.browser import open_page

pytestmark = pytest.mark.processes

CITIZEN = Zone("citizen", ZoneRole.CITIZEN, ((0.1, 0.1), (0.5, 0.1), (0.5, 0.9)))
STEPS = ("pair", "camera", "zones", "masks", "calibrate", "check")


def test_the_rules_see_faults() -> None:
    with open_page() as page:
        page.set_content(
            "<html><p style='color: #bbb; background: #fff'>pale</p><img src=a></html>"
        )
        found = " ".join(grave_faults(page))
    assert all(rule in found for rule in ("color-contrast:", "html-has-lang:", "image-alt:")), found


def test_kiosk_and_desk_screen_have_no_grave_fault(box: Box) -> None:
    with open_page() as page:
        page.goto(f"{box.pages.url}/kiosk/desk-1")
        faults = grave_faults(page)
        page.locator("button.rating").first.click()
        page.wait_for_url("**/thanks**")
        # The tablet is everybody's: the page leaves before the next citizen comes to it.
        faults += grave_faults(page, besides=("meta-refresh",))
        page.goto(f"{box.pages.url}/screen/desk-1?lang=en")
        faults += grave_faults(page)
    assert faults == []


def test_no_step_of_the_wizard_has_a_grave_fault(box: Box) -> None:
    desks = (DeskView("desk-1", (CITIZEN,), {"citizen": PresenceState.UNKNOWN}),)
    box.installation.cameras = (CameraView("room", "scene:1", desks, CameraState.OK, True),)
    with open_page() as page:
        page.goto(f"{box.pages.url}/setup")
        faults = grave_faults(page)
        page.fill("[name=pin]", PIN)
        page.keyboard.press("Enter")
        page.locator(".steps").wait_for()
        for step in STEPS:
            page.goto(f"{box.pages.url}/setup/{step}")
            faults += grave_faults(page)
    assert faults == []
