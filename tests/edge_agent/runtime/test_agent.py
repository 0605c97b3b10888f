"""The real agent as a process: kills, full stops, and what its disk gives away."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from event_protocol.codec import Accepted, decode_event
from event_protocol.events import (
    CameraObserved,
    CameraState,
    DeviceStartedEvent,
    FeedbackSubmitted,
    LastRun,
    PresenceObserved,
    PresenceState,
)
from event_protocol.sealing import sealing_key_id, unseal
from tests.processes.edge_agent import (
    DESK,
    DEVICE,
    PASSWORD,
    REPOSITORY,
    SEALING_KEY,
    SERVER_KEY,
    EdgeAgent,
)
from tests.processes.mosquitto import Mosquitto
from tests.processes.ports import free_port, wait_until
from tests.processes.receipt_server import ReceiptServer

pytestmark = pytest.mark.processes

SCENE = {"name": "room", "source": "scene:7", "desks": [{"desk": DESK}]}
PRIVATE = {sealing_key_id(bytes(SEALING_KEY.public_key)): bytes(SEALING_KEY)}
CANARY = "người này đòi tiền canary"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", {DEVICE: PASSWORD, "server": "server"}) as running:
        yield running


@pytest.fixture
def server(broker: Mosquitto) -> Iterator[ReceiptServer]:
    with ReceiptServer(broker.port, DEVICE, SERVER_KEY, "server", "server") as running:
        yield running


def tap(agent: EdgeAgent, rating: int, **more: str) -> None:
    """One citizen at the kiosk."""
    with httpx.Client(base_url=agent.url, follow_redirects=True) as browser:
        form = re.search(r'name="form" value="([^"]+)"', browser.get(f"/kiosk/{DESK}").text)
        assert form
        thanks = browser.post(f"/kiosk/{DESK}", data={"form": form[1], "rating": str(rating)})
        assert "kiosk.saved" not in thanks.text
        assert "Đánh giá đã được lưu" in thanks.text
        if more:
            amendment = re.search(r'name="amendment" value="([^"]+)"', thanks.text)
            assert amendment
            fields = {"form": form[1], "amendment": amendment[1], **more}
            assert browser.post(f"/kiosk/{DESK}/amend", data=fields).status_code == 200


def stored_events(agent: EdgeAgent) -> list[Accepted]:
    """What stands in a stopped agent's outbox."""
    with sqlite3.connect(agent.directory / "outbox.sqlite") as database:
        rows = database.execute("SELECT body FROM events ORDER BY sequence").fetchall()
    database.close()
    decoded = [decode_event(DEVICE, body) for (body,) in rows]
    assert all(isinstance(event, Accepted) for event in decoded)
    return [event for event in decoded if isinstance(event, Accepted)]


def test_taps_with_the_network_cut_arrive_after_kills_each_once(
    tmp_path: Path, broker: Mosquitto, server: ReceiptServer
) -> None:
    agent = EdgeAgent(tmp_path / "box", broker.port, [SCENE])
    agent.start()
    wait_until(lambda: server.through >= 2, what="first events")
    broker.kill()
    for rating in (1, 2):
        tap(agent, rating)
    agent.kill()
    agent.start()
    tap(agent, 3)
    agent.kill()
    broker.start()
    with agent:
        wait_until(
            lambda: (
                sum(isinstance(e.event.data, FeedbackSubmitted) for e in server.check_chain()) == 3
            ),
            30,
            "three ratings at the server",
        )
    assert agent.process is not None
    assert agent.process.returncode == 0
    events = server.check_chain()
    feedback = [e.event for e in events if isinstance(e.event.data, FeedbackSubmitted)]
    ratings = [
        unseal(f.model_dump()["sealed"], f.model_dump()["data"]["digest"], PRIVATE).rating
        for f in feedback
    ]
    assert ratings == [1, 2, 3]
    starts = [e.event for e in events if isinstance(e.event, DeviceStartedEvent)]
    assert [start.boot for start in starts] == [1, 2, 3]
    assert [start.data.last_run for start in starts] == [
        LastRun.FIRST,
        LastRun.KILLED,
        LastRun.KILLED,
    ]


def test_the_whole_disk_holds_no_rating_no_word_and_no_link(tmp_path: Path) -> None:
    agent = EdgeAgent(tmp_path / "box", free_port(), [SCENE])
    with agent:
        # 5 s of empty room calibrate the scene; a tap then belongs to whoever is there.
        wait_until(lambda: b"occupied" in whole_disk(agent.directory), 60, "somebody at the desk")
        for rating in (5, 1):
            tap(agent, rating, comment=CANARY, contact="canary@example.org", reason="harassment")
        disks = [whole_disk(agent.directory)]
    disks.append(whole_disk(agent.directory))
    events = stored_events(agent)
    sealed = [e.event.model_dump() for e in events if "feedback" in e.event.model_dump()["type"]]
    assert len(sealed) == 4
    contents = [unseal(e["sealed"], e["data"]["digest"], PRIVATE) for e in sealed]
    assert [content.rating for content in contents] == [5, 5, 1, 1]
    assert contents[1].comment == CANARY
    for disk in (*disks, agent.output.encode()):
        for secret in ("canary", "rating", "harassment", "đòi"):
            assert secret.encode() not in disk, secret
    # A session is named by what the camera saw, never beside feedback.
    for event in events:
        if isinstance(event.event.data, FeedbackSubmitted):
            assert b"session" not in event.body
            assert event.event.time.minute % 15 == event.event.time.second == 0


def whole_disk(folder: Path) -> bytes:
    """Every byte of every file below the folder."""
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_recording_played_once_is_three_stays_and_no_camera_fault(
    tmp_path: Path, testdata: Path
) -> None:
    truth = json.loads((testdata / "ground_truth.json").read_text())
    (clip,) = (c for c in truth["clips"] if c["file"].endswith("desk_one_by_one_a.mp4"))
    corners = clip["zones"]["customer"]["polygon_px"]
    polygon = [[x / clip["width"], y / clip["height"]] for x, y in corners]
    camera = {
        "name": "room",
        "source": str(testdata / clip["file"]),
        "paced": False,
        "empty": "0-5",
        "desks": [{"desk": DESK, "zones": {"citizen": {"role": "citizen", "polygon": polygon}}}],
    }
    with EdgeAgent(tmp_path / "box", free_port(), [camera]) as agent:
        agent.wait_for_output("recording_ended", 90)
        # The pages stay, and a finished recording is no fault.
        assert httpx.get(f"{agent.url}/kiosk/{DESK}").status_code == 200
    events = [event.event.data for event in stored_events(agent)]
    cameras = [data.state for data in events if isinstance(data, CameraObserved)]
    assert cameras == [CameraState.OK]
    seen = [data for data in events if isinstance(data, PresenceObserved)]
    start = next(data.since for data in events if isinstance(data, CameraObserved))
    stays = [d for d in seen if d.state is PresenceState.OCCUPIED]
    assert len({d.session_id for d in stays}) == clip["sessions"]
    arrivals = [(d.since - start).total_seconds() for d in stays]
    assert arrivals == pytest.approx([begin for begin, _ in clip["customer_in_zone"]], abs=1.5)
    assert seen[-1].state is PresenceState.EMPTY


@pytest.mark.parametrize(
    ("kept", "complaint", "states"),
    [
        (None, "no such file", [CameraState.LOST]),
        (0.0, "the file is empty", [CameraState.LOST]),
        (0.5, "truncated or damaged", [CameraState.OK, CameraState.LOST]),
    ],
    ids=["missing", "empty", "truncated"],
)
def test_a_recording_that_can_not_be_read_is_said_and_the_kiosk_works(
    tmp_path: Path,
    testdata: Path,
    kept: float | None,
    complaint: str,
    states: list[CameraState],
) -> None:
    recording = tmp_path / "film.mkv"
    if kept is not None:
        content = (testdata / "video" / "asl_help.mkv").read_bytes()
        recording.write_bytes(content[: int(kept * len(content))])
    camera = {"name": "room", "source": str(recording), "desks": [{"desk": DESK}], "paced": False}
    agent = EdgeAgent(tmp_path / "box", free_port(), [camera])
    with agent:
        agent.wait_for_output("recording_ended")
        assert complaint in agent.output
        tap(agent, 4)
    said = [e.event.data for e in stored_events(agent)]
    assert [data.state for data in said if isinstance(data, CameraObserved)] == states


def test_port_in_use_and_folder_in_use_are_one_clear_line(tmp_path: Path) -> None:
    with EdgeAgent(tmp_path / "box", free_port()) as first:
        for change, complaint in (
            ({"EDGE_HTTP__PORT": str(first.port), "EDGE_DIRECTORY": "other"}, "http.port"),
            ({"EDGE_HTTP__PORT": "0"}, "another edge-agent is using"),
        ):
            ended = run_once(first.settings, "run", **change)
            assert ended.returncode == 2
            (line,) = ended.stderr.splitlines()
            assert complaint in line


def test_wrong_settings_name_the_line(tmp_path: Path) -> None:
    settings = tmp_path / "edge.yaml"
    settings.write_text("directory: edge\nhttp:\n  port: many\n")
    ended = run_once(settings, "run")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"edge-agent settings: {settings}:3: http.port: ")


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(
    tmp_path: Path, broker: Mosquitto
) -> None:
    agent = EdgeAgent(tmp_path / "box", broker.port, [SCENE])
    ended = run_once(agent.settings, "doctor", EDGE_CONFIRMER__LAYOUT="face")
    assert ended.returncode == 1
    assert "ok    broker: " in ended.stdout
    assert "ok    confirmer: face: a look takes " in ended.stdout
    assert "ok    camera room: gives pictures of 640 by 360" in ended.stdout
    assert "ok    recordings: none yet; 0 of at most 20000 MB, for 72 h; " in ended.stdout
    assert "FAIL  server: " in ended.stdout
    assert "-> check cable" in ended.stdout


def test_the_doctor_on_an_unpaired_box(tmp_path: Path) -> None:
    agent = EdgeAgent(tmp_path / "box", None)
    model = {"LAYOUT": "yolox", "MODEL": "missing.onnx", "SHA256": "0" * 64}
    confirmer = {f"EDGE_CONFIRMER__{name}": value for name, value in model.items()}
    ended = run_once(agent.settings, "doctor", **confirmer)
    assert ended.returncode == 1
    assert "FAIL  confirmer: yolox: " in ended.stdout
    assert "missing.onnx: No such file" in ended.stdout
    assert "run: edge-agent enrol --server URL" in ended.stdout
    assert "add one under cameras:" in ended.stdout


def test_an_unpaired_box_shows_the_wizard_and_its_pin_once(tmp_path: Path) -> None:
    agent = EdgeAgent(tmp_path / "box", None)
    with agent:
        answer = httpx.get(agent.url, follow_redirects=True)
        assert "Nhập mã PIN" in answer.text
        assert httpx.get(f"{agent.url}/kiosk/{DESK}").status_code == 404
    pins = re.findall(r"PIN (\d{8})", agent.output)
    assert len(pins) == 1
    assert pins[0].encode() not in whole_disk(agent.directory)
    with agent:
        pass
    assert re.findall(r"PIN (\d{8})", agent.output) == pins


def test_key_and_pairing_are_the_owners_alone(tmp_path: Path) -> None:
    agent = EdgeAgent(tmp_path / "box", None)
    with agent:
        pass
    for name in ("device.key", "setup_pin.hash"):
        assert (agent.directory / name).stat().st_mode & 0o077 == 0


def run_once(
    settings: Path, command: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", command, "--config", settings],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )
