"""The wizard: behind a PIN, each form bound to its log-in, every step says what is wrong."""

import json
import re

import httpx
import pytest

from edge_agent.core.desk_zones import Zone
from edge_agent.http.parts import CameraView, DeskView, RefusedError
from event_protocol.events import CameraState, PresenceState, ZoneRole
from tests.edge_agent.http.conftest import PIN, Box

CITIZEN = Zone("citizen", ZoneRole.CITIZEN, ((0.1, 0.1), (0.5, 0.1), (0.5, 0.9)))
STEPS = ("pair", "camera", "zones", "masks", "calibrate", "check")


def log_in(box: Box) -> None:
    answer = box.client.post("/setup/login", data={"pin": PIN})
    assert answer.status_code == 303


def post(box: Box, step: str, **fields: object) -> httpx.Response:
    page = box.client.get(f"/setup/{step}").text
    match = re.search(r'name="token" value="([^"]+)"', page)
    assert match
    return box.client.post(f"/setup/{step}", data={"token": match[1], **fields})


def add_camera(box: Box) -> None:
    desks = (DeskView("desk-1", (CITIZEN,), {"citizen": PresenceState.UNKNOWN}),)
    masks = (((0.0, 0.0), (0.2, 0.0), (0.2, 0.3)),)
    camera = CameraView("room", "scene:1", desks, CameraState.OK, True, masks=masks)
    box.installation.cameras = (camera,)


@pytest.mark.parametrize("page", [*STEPS, "picture/room.jpg", ""])
def test_nothing_is_shown_without_the_pin(box: Box, page: str) -> None:
    answer = box.client.get(f"/setup/{page}".rstrip("/"))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/setup/login")


def test_a_wrong_pin_is_refused_and_five_close_the_door_for_a_minute(box: Box) -> None:
    for _ in range(5):
        assert box.client.post("/setup/login", data={"pin": "0"}).status_code == 403
    assert box.client.post("/setup/login", data={"pin": PIN}).status_code == 429
    box.pass_time(61)
    log_in(box)


def test_the_cookie_is_strict_and_ends(box: Box) -> None:
    answer = box.client.post("/setup/login", data={"pin": PIN})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert box.client.get("/setup/check").status_code == 200
    box.pass_time(9 * 3600)
    assert box.client.get("/setup/check").status_code == 303


def test_a_forged_cookie_opens_nothing(box: Box) -> None:
    box.client.cookies.set("onestop-setup", "99999999999.x." + "0" * 64)
    assert box.client.get("/setup/check").status_code == 303


def test_a_form_from_elsewhere_does_nothing(box: Box) -> None:
    log_in(box)
    fields = {"server": "https://evil", "code": "12345678"}
    assert box.client.post("/setup/pair", data=fields).headers["location"].startswith("/setup/log")
    page = box.client.get("/setup/pair").text
    token = page.partition('name="token" value="')[2].partition('"')[0]
    foreign = {"Origin": "http://elsewhere"}
    box.client.post("/setup/pair", data={**fields, "token": token}, headers=foreign)
    assert box.installation.asked == []


def test_the_wizard_begins_where_something_is_to_be_done(box: Box) -> None:
    log_in(box)
    assert box.client.get("/setup").headers["location"].startswith("/setup/pair")
    box.installation.device = "box-1"
    assert box.client.get("/setup").headers["location"].startswith("/setup/camera")
    add_camera(box)
    assert box.client.get("/setup").headers["location"].startswith("/setup/check")


def test_every_step_is_a_page_in_both_languages(box: Box) -> None:
    log_in(box)
    for _ in range(2):
        for step in STEPS:
            for language in ("vi", "en"):
                page = box.client.get(f"/setup/{step}", params={"lang": language})
                assert page.status_code == 200
                assert f'<html lang="{language}">' in page.text
                assert "setup." not in re.sub(r"/static/setup\.\w+", "", page.text), step
                assert "style=" not in page.text
        add_camera(box)
        box.installation.device = "box-1"


def test_pairing(box: Box) -> None:
    log_in(box)
    answer = post(box, "pair", server="https://server", code=" 12345678 ")
    assert answer.headers["location"].startswith("/setup/camera")
    assert box.installation.asked == [("pair", "https://server", "12345678")]


def test_a_refused_code_says_what_to_do_and_keeps_the_address(box: Box) -> None:
    log_in(box)
    box.installation.refuse = RefusedError("code_refused", "HTTP 404")
    answer = post(box, "pair", server="https://server", code="12345678")
    assert answer.status_code == 422
    assert "Xin lấy mã mới" in answer.text
    assert 'value="https://server"' in answer.text


def test_a_camera_is_saved_with_its_desks(box: Box) -> None:
    log_in(box)
    post(box, "camera", name="room", source="scene:1", desk=["desk-1"])
    assert box.installation.asked == [("camera", "room", "scene:1", "desk-1")]


def test_zones_come_from_the_forms_rows_with_or_without_script(box: Box) -> None:
    log_in(box)
    add_camera(box)
    page = box.client.get("/setup/zones").text
    assert 'value="0.1,0.1 0.5,0.1 0.5,0.9"' in page
    post(
        box,
        "zones",
        camera="room",
        desk="desk-1",
        zone=["citizen", "officer", "waiting"],
        role=["citizen", "officer", "waiting"],
        points=["0.1,0.2 0.5,0.2 0.5,0.9", " ", "0,0 x,1"],
    )
    ((_, camera, desk, text),) = box.installation.asked
    assert (camera, desk) == ("room", "desk-1")
    assert json.loads(text) == {
        "zones": {
            "citizen": {"role": "citizen", "polygon": [[0.1, 0.2], [0.5, 0.2], [0.5, 0.9]]},
            "waiting": {"role": "waiting", "polygon": [[0, 0], ["x", 1]]},
        }
    }


def test_masks_are_rows_of_points_too_and_belong_to_the_camera(box: Box) -> None:
    log_in(box)
    add_camera(box)
    assert 'value="0,0 0.2,0 0.2,0.3"' in box.client.get("/setup/masks").text
    answer = post(box, "masks", camera="room", points=["0,0 0.5,0 0.5,0.5", " ", "0,0 x,1"])
    assert answer.headers["location"].startswith("/setup/masks?camera=room&saved=1")
    ((_, camera, masks),) = box.installation.asked
    assert (camera, json.loads(masks)) == (
        "room",
        [[[0, 0], [0.5, 0], [0.5, 0.5]], [[0, 0], ["x", 1]]],
    )
    box.installation.refuse = RefusedError("masks_malformed", "mask 2: point 2")
    refused = post(box, "masks", camera="room", points="0,0")
    assert refused.status_code == 422
    assert "mask 2: point 2" in refused.text


def test_a_camera_without_a_picture_has_no_tick_and_shows_no_old_one(box: Box) -> None:
    log_in(box)
    box.installation.device = "box-1"
    for state, words in ((None, "Đang chờ hình đầu tiên"), (CameraState.LOST, "mất hình")):
        camera = CameraView("room", "rtsp://camera", (), state, False, problem=state and "refused")
        box.installation.cameras = (camera,)
        assert box.client.get("/setup").headers["location"].startswith("/setup/camera")
        for step in ("camera", "calibrate", "check"):
            page = box.client.get(f"/setup/{step}").text
            assert words in page
            assert "/setup/picture/" not in page
        assert "Chưa vẽ vùng nào" in page


def test_nobody_is_sent_to_the_masks_but_their_step_has_its_tick(box: Box) -> None:
    log_in(box)
    box.installation.device = "box-1"
    desks = (DeskView("desk-1", (CITIZEN,)),)
    box.installation.cameras = (CameraView("room", "scene:1", desks, CameraState.OK, False),)
    assert box.client.get("/setup").headers["location"].startswith("/setup/calibrate")
    step = r'<li class="(\w*)"><a href="/setup/masks'
    assert re.findall(step, box.client.get("/setup/check").text) == [""]
    add_camera(box)
    assert re.findall(step, box.client.get("/setup/check").text) == ["done"]


def test_calibration_and_the_picture(box: Box) -> None:
    log_in(box)
    add_camera(box)
    assert box.client.get("/setup/picture/room.jpg").content == b"\xff\xd8picture"
    assert box.client.get("/setup/picture/none.jpg").status_code == 404
    post(box, "calibrate", camera="room")
    assert box.installation.asked == [("calibrate", "room")]


def test_each_failed_tick_says_what_to_do(box: Box) -> None:
    log_in(box)
    add_camera(box)
    page = box.client.get("/setup/check").text
    assert "xóa bớt tệp" in page
    assert "Chưa biết" in page


def test_logging_out(box: Box) -> None:
    log_in(box)
    page = box.client.get("/setup/check").text
    token = page.partition('name="token" value="')[2].partition('"')[0]
    box.client.post("/setup/logout", data={"token": token})
    assert box.client.get("/setup/check").status_code == 303
