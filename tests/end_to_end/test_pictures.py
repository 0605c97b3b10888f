"""From a complaint to a clip that plays: real server, real agent at a recorded desk, browser."""

from datetime import datetime
from pathlib import Path
from typing import Any

import av
import pytest
from playwright.sync_api import Page, expect

from central_server.storage.evidence_files import EvidenceFiles
from tests.end_to_end.desk_clip import DeskClip, impatient_rules
from tests.end_to_end.province import DeskAgent, Province, open_as_lead
from tests.processes.browser import open_page
from tests.processes.ports import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

WHY = "money was asked for"
_SEEN = "SELECT 1 FROM event WHERE type = 'onestop.camera.observed'"
# Plays the last half second: the pictures come by a range request from the middle of the file.
_PLAY_THE_END = """video => new Promise((ended, failed) => {
    video.onended = ended; video.onerror = () => failed(video.error.message);
    video.currentTime = video.duration - 0.5; video.play(); })"""


def test_a_complaint_s_clip_is_asked_for_arrives_and_plays(
    tmp_path: Path, testdata: Path, repository: Path
) -> None:
    clip = DeskClip(testdata)
    camera = {"source": str(clip.path), "zones": clip.zones, "empty": "0-5"}
    agent = DeskAgent(tmp_path / "agent", camera)
    rules = impatient_rules(repository)
    with Province(tmp_path / "province", "embedded", rules) as province, open_page() as page:
        province.enrol(agent)
        with agent:
            wait_until(lambda: bool(province.rows(_SEEN)), 60, "the camera's first pictures")
            province.complain_by_phone()
            wait_until(lambda: bool(complaints(province)), 20, "the complaint's flag")
            (flag,) = complaints(province)
            request_id = ask_on_page(page, province, flag)
            wait_until(lambda: state_of(province, flag) == "received", 60, "the clip")
            play_on_page(page, request_id)
        province.run("verify-log")
        (told,) = province.list_items(f"flags/{flag['flag_id']}/evidence")
    # Of the complaint's quarter of an hour there are pictures since the agent began to record.
    assert told["covered"], told
    assert told["missing"][0]["begin"] == told["begin"], told
    assert [done["type"] for done in told["history"]] == [
        "evidence.asked",
        "evidence.keys_handed",
        "evidence.received",
        "evidence.viewed",
    ]
    # Every picture of the recording is in it, not only key frames.
    (part,) = told["covered"]
    lasts = datetime.fromisoformat(part["end"]) - datetime.fromisoformat(part["begin"])
    assert count_pictures(province, told["sha256"]) >= 8 * lasts.total_seconds()
    # Nothing at the unit tells of it, but the orders' own folder.
    assert request_id not in agent.output
    assert "evidence" not in agent.output


def count_pictures(province: Province, sha256: str) -> int:
    files = EvidenceFiles(province.settings.evidence_directory, 0)
    with av.open(files.path_of(sha256)) as container:
        return sum(1 for _ in container.decode(video=0))


def complaints(province: Province) -> list[dict[str, Any]]:
    return province.list_items("flags", rule="complaint")


def state_of(province: Province, flag: dict[str, Any]) -> str:
    (told,) = province.list_items(f"flags/{flag['flag_id']}/evidence")
    assert told["state"] != "unavailable", f"{told['reason']} {told['covered']}"
    return str(told["state"])


def ask_on_page(page: Page, province: Province, flag: dict[str, Any]) -> str:
    """By the form on the flag's page; the request's id."""
    open_as_lead(page, province)
    page.goto(f"{province.url}/flags/{flag['flag_id']}")
    page.get_by_label("Why it is asked for").fill(WHY)
    page.get_by_role("button", name="Ask for pictures").click()
    expect(page.locator("#evidence .badge").first).to_have_text("asked for")
    (told,) = province.list_items(f"flags/{flag['flag_id']}/evidence")
    return str(told["request_id"])


def play_on_page(page: Page, request_id: str) -> None:
    """Say why, then see the end of it."""
    page.reload()
    page.get_by_label("Why you look").fill(WHY)
    page.get_by_role("button", name="Open the pictures").click()
    video = page.locator(f"video[src*='{request_id}']")
    video.wait_for()
    video.evaluate(_PLAY_THE_END)
    assert video.evaluate("video => [video.videoWidth, video.error]") == [768, None]
