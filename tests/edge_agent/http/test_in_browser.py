"""What only a real browser shows: drawn zones, headers it obeys, pages that leave by themselves."""

import json
from dataclasses import replace

import pytest

from edge_agent.core.desk_zones import Zone
from edge_agent.http.parts import CameraView, DeskView
from event_protocol.events import CameraState, ZoneRole
from tests.edge_agent.http.conftest import PIN, Box
from tests.processes.browser import open_page

pytestmark = pytest.mark.processes

OFFICER = Zone("officer", ZoneRole.OFFICER, ((0.6, 0.1), (0.9, 0.1), (0.9, 0.5)))


def test_zones_are_drawn_by_pointer_and_by_keyboard_and_sent(box: Box) -> None:
    views = (DeskView("desk-1", (OFFICER,)),)
    box.installation.cameras = (CameraView("room", "scene:1", views, CameraState.OK, True),)
    with open_page() as page:
        page.goto(f"{box.pages.url}/setup/zones")
        page.fill("[name=pin]", PIN)
        page.click("button")
        page.goto(f"{box.pages.url}/setup/zones")
        drawing = page.locator("[data-drawing]")
        size = drawing.bounding_box()
        assert size
        for x, y in ((0.1, 0.2), (0.4, 0.2), (0.9, 0.9)):
            page.mouse.click(size["x"] + x * size["width"], size["y"] + y * size["height"])
        drawing.focus()
        for key in ("Backspace", "Shift+ArrowDown", "Shift+ArrowDown", "ArrowLeft", "Enter"):
            page.keyboard.press(key)
        page.get_by_role("button", name="Lưu vùng").click()
        page.wait_for_url("**saved=1**")
    ((step, camera, desk, text),) = box.installation.asked
    assert (step, camera, desk) == ("zones", "room", "desk-1")
    zones = json.loads(text)["zones"]
    assert zones["officer"]["polygon"] == [list(point) for point in OFFICER.polygon]
    drawn = zones["citizen"]["polygon"]
    expected = [[0.1, 0.2], [0.4, 0.2], [0.49, 0.6]]
    for point, wanted in zip(drawn, expected, strict=True):
        assert point == pytest.approx(wanted, abs=0.01)


def test_the_first_picture_shows_itself_and_leaves_what_is_typed(box: Box) -> None:
    waiting = CameraView("room", "rtsp://camera", (DeskView("desk-1"),), None, False)
    box.installation.cameras = (waiting,)
    with open_page() as page:
        page.goto(f"{box.pages.url}/setup/camera")
        page.fill("[name=pin]", PIN)
        page.click("button")
        page.goto(f"{box.pages.url}/setup/camera")
        page.locator(".picture.none").wait_for()
        source = page.locator("[name=source]").first
        source.fill("rtsp://another")
        box.installation.cameras = (replace(waiting, state=CameraState.OK),)
        page.locator("img.picture").wait_for(timeout=10_000)
        assert source.input_value() == "rtsp://another"


def test_a_mask_is_drawn_beside_those_that_stand_and_one_is_removed(box: Box) -> None:
    corner = ((0.0, 0.0), (0.2, 0.0), (0.2, 0.3))
    screen = ((0.5, 0.5), (0.7, 0.5), (0.7, 0.7))
    views = (DeskView("desk-1", (OFFICER,)),)
    camera = CameraView("room", "scene:1", views, CameraState.OK, True, masks=(corner, screen))
    box.installation.cameras = (camera,)
    with open_page(360, 800) as page:
        page.goto(f"{box.pages.url}/setup/masks")
        page.fill("[name=pin]", PIN)
        page.click("button")
        page.goto(f"{box.pages.url}/setup/masks?lang=en")
        page.get_by_role("button", name="Clear").first.click()
        third = page.locator("[data-zone]").nth(2)
        third.get_by_role("button", name="Draw").click()
        for key in ("ArrowRight", "Enter", "ArrowRight", "Enter", "Shift+ArrowDown", "Enter"):
            page.keyboard.press(key)
        third.get_by_role("button", name="Undo").click()
        page.locator("[data-drawing]").focus()
        for key in ("Shift+ArrowDown", "Enter"):
            page.keyboard.press(key)
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(width) == 0
        page.get_by_role("button", name="Save masks").click()
        page.wait_for_url("**saved=1**")
    ((step, name, masks),) = box.installation.asked
    assert (step, name) == ("masks", "room")
    drawn = [[0.51, 0.5], [0.52, 0.5], [0.52, 0.6]]
    assert json.loads(masks) == [[list(point) for point in screen], drawn]


def test_a_tap_in_a_browser_and_the_screens_code_renews(box: Box) -> None:
    with open_page(360, 800) as page:
        page.goto(f"{box.pages.url}/kiosk/desk-1")
        small = [b.bounding_box() for b in page.locator("button.rating").all()]
        assert all(size and size["height"] >= 64 and size["width"] >= 64 for size in small)
        page.click("button[value='2']")
        assert page.locator("h1").inner_text() == "Xin cảm ơn ông/bà!"
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(width) == 0
        page.clock.install()
        page.goto(f"{box.pages.url}/screen/desk-1")
        before = page.locator("svg.qr").inner_html()
        page.clock.run_for(31_000)
        page.wait_for_function(
            "before => document.querySelector('svg.qr').innerHTML !== before", arg=before
        )
    assert [content.rating for content in box.contents()] == [2]
