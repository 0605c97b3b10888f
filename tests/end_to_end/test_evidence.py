"""An inspector asks for pictures of a camera that was lost; the box was killed meanwhile.

Nobody at the unit can tell.
"""

import hashlib
import io
import json
import re
import time
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from tests.end_to_end.desk_clip import DeskClip, impatient_rules
from tests.end_to_end.province import DeskAgent, Province
from tests.processes.edge_agent import DESK
from tests.processes.ports import wait_until
from tests.processes.rtsp_server import RtspServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

RECORDED_S = 7  # more than the five seconds before the loss that are asked for
PAGES = ("/", f"/kiosk/{DESK}", f"/screen/{DESK}", "/setup", "/setup/login")
TELLING = re.compile(r"evidence|clip|segment|upload|snapshot|recording|bằng chứng|ghi hình", re.I)


def test_what_the_camera_last_saw_is_sent_after_a_kill_and_in_silence(
    tmp_path: Path, testdata: Path, repository: Path
) -> None:
    clip = DeskClip(testdata)
    rules = impatient_rules(repository)
    rules["rules"]["camera_lost"]["threshold_s"] = 1
    with (
        RtspServer(tmp_path, clip.path) as camera,
        Province(tmp_path / "province", "embedded", rules) as province,
    ):
        agent = DeskAgent(tmp_path / "agent", {"source": camera.url, "zones": clip.zones})
        province.enrol(agent)
        with agent:
            wait_until(lambda: states(province), 30, "the camera is seen")
            began = len(agent.output)
            wait_until(lambda: seconds_seen(province) > RECORDED_S, 60, "some seconds recorded")
            camera.kill()
            wait_until(lambda: "lost" in states(province), 60, "the loss is known")
            time.sleep(1.5)
            camera.start()
            flag = wait_for_flag(province)
            before = read_pages(agent)
            agent.kill()  # it holds no key any more
            agent.start()
            request = ask(province, flag)
            wait_until(lambda: read(province, request)["state"] == "received", 60, "the clip")
            after = read_pages(agent)
            logged = agent.output[began:]
        answer = read(province, request)
        content = open_content(province, request)
    assert hashlib.sha256(content).hexdigest() == answer["sha256"]
    assert answer["covered"]
    assert answer["missing"]
    assert answer["reason"] in ("camera_off", "not_covered")  # the kill, if it took long
    with av.open(io.BytesIO(content), "r") as container:
        pictures = list(container.decode(video=0))
    assert len(pictures) > 20
    # The unit's side of it: pages and log are those of a box of which nobody asked anything.
    assert after == before
    assert not any(TELLING.search(page) for page in after.values())
    assert not TELLING.search(logged)
    assert request not in logged
    for path in (agent.directory / "evidence").rglob("*"):
        assert not path.is_file() or b"mdat" not in path.read_bytes(), path


def states(province: Province) -> list[str]:
    """What the server knows of the camera, in order."""
    bodies = province.rows(
        "SELECT body FROM event WHERE type = 'onestop.camera.observed' ORDER BY sequence"
    )
    return [json.loads(body)["data"]["state"] for (body,) in bodies]


def seconds_seen(province: Province) -> float:
    """How long the server has known that camera."""
    statement = (
        "SELECT (julianday('now') - julianday(min(time))) * 86400 FROM event "
        "WHERE type = 'onestop.camera.observed'"
    )
    return float(province.rows(statement)[0][0] or 0)


def read_pages(agent: DeskAgent) -> dict[str, str]:
    """What everybody on the unit's LAN can read, but for what differs each time."""
    with httpx.Client(base_url=agent.url, follow_redirects=True, timeout=20) as browser:
        pages = {path: browser.get(path) for path in PAGES}
    changing = re.compile(r'value="[^"]*"|<svg.*?</svg>|\d\d:\d\d(:\d\d)?|\?t=[\w-]+', re.DOTALL)
    return {
        path: f"{page.status_code} {changing.sub('', page.text)}" for path, page in pages.items()
    }


def wait_for_flag(province: Province) -> str:
    """The flag that says that the camera is gone."""

    def lost() -> list[dict[str, Any]]:
        flags = province.list_items("flags", state="all")
        return [flag for flag in flags if flag["rule"] == "camera_lost"]

    wait_until(lost, 60, "a flag")
    return str(lost()[0]["flag_id"])


def ask(province: Province, flag: str) -> str:
    with province.log_in() as inspector:
        why = {"kind": "clip", "reason": "who covered the lens?"}
        answer = post(inspector, f"/api/v1/flags/{flag}/evidence", why)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request_id"])


def post(inspector: httpx.Client, path: str, content: dict[str, str]) -> httpx.Response:
    token = inspector.get("/api/v1/session").json()["csrf_token"]
    return inspector.post(path, json=content, headers={"X-CSRF-Token": token})


def read(province: Province, request: str) -> dict[str, Any]:
    with province.log_in() as inspector:
        answer = inspector.get(f"/api/v1/evidence/{request}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["state"] not in ("unavailable", "expired"), found
    return found


def open_content(province: Province, request: str) -> bytes:
    with province.log_in() as inspector:
        why = {"reason": "to see who covered the lens"}
        assert post(inspector, f"/api/v1/evidence/{request}/views", why).is_success
        answer = inspector.get(f"/api/v1/evidence/{request}/content")
    assert answer.headers["content-type"] == "video/mp4"
    return answer.content
