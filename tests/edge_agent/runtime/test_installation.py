"""The whole wizard on the real agent: from an unpaired box to one that sees."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest

from edge_agent.runtime.installed_cameras import read_cameras
from tests.processes.edge_agent import DESK, DEVICE, PASSWORD, SERVER_KEY, EdgeAgent
from tests.processes.mosquitto import Mosquitto
from tests.processes.pairing_server import PairingServer
from tests.processes.ports import wait_until
from tests.processes.receipt_server import ReceiptServer

pytestmark = pytest.mark.processes


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker", {DEVICE: PASSWORD, "server": "server"}) as running:
        yield running


class Installer:
    """Somebody at the wizard, without script."""

    def __init__(self, agent: EdgeAgent) -> None:
        self.browser = httpx.Client(base_url=agent.url, follow_redirects=True, timeout=30)
        pin = re.search(r"PIN (\d{8})", agent.output)
        assert pin
        self.browser.post("/setup/login", data={"pin": pin[1]})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()

    def post(self, step: str, **fields: object) -> httpx.Response:
        token = re.search(r'name="token" value="(\w+)"', self.browser.get(f"/setup/{step}").text)
        assert token
        return self.browser.post(f"/setup/{step}", data={"token": token[1], **fields})

    def failed_ticks(self) -> list[str]:
        """What the last page says is still to be mended, in English."""
        page = self.browser.get("/setup/check", params={"lang": "en"}).text
        return re.findall(r'<li class="bad">.*?<strong>(.*?)</strong>', page, flags=re.DOTALL)


def test_from_an_unpaired_box_to_one_that_sees(tmp_path: Path, broker: Mosquitto) -> None:
    agent = EdgeAgent(tmp_path / "box", None)
    with (
        PairingServer(broker.port) as pairing,
        ReceiptServer(broker.port, DEVICE, SERVER_KEY, "server", "server") as server,
    ):
        with agent, Installer(agent) as installer:
            assert "Paired" in installer.failed_ticks()
            refused = installer.post("pair", server="http://server.example.org", code="12345678")
            assert refused.status_code == 422
            installer.post("pair", server=pairing.url, code="12345678")
            assert f"/kiosk/{DESK}" in installer.browser.get("/setup/check").text

            unknown = installer.post("camera", name="room", source="ftp://camera", desk=[DESK])
            assert unknown.status_code == 422
            installer.post("camera", name="room", source="scene:7", desk=[DESK])
            picture = f"{agent.url}/setup/picture/room.jpg"
            wait_until(lambda: installer.browser.get(picture).status_code == 200, what="a picture")

            points = "0.35,0.31 0.55,0.31 0.55,0.97 0.35,0.97"
            outside = installer.post(
                "zones",
                camera="room",
                desk=DESK,
                zone="citizen",
                role="citizen",
                points="0,0 2,2 1,0",
            )
            assert "outside the picture" in outside.text
            installer.post(
                "zones", camera="room", desk=DESK, zone="citizen", role="citizen", points=points
            )
            wait_until(lambda: installer.browser.get(picture).status_code == 200, what="a picture")
            refused = installer.post("masks", camera="room", points="0,0 1,0 1,1.5")
            assert "mask 1: point 3 [1, 1.5] is outside the picture" in refused.text
            corner = "0.8,0 1,0 1,0.3"
            assert corner in installer.post("masks", camera="room", points=corner).text
            (saved,) = read_cameras(agent.directory, ())
            assert saved.masks == (((0.8, 0), (1, 0), (1, 0.3)),)
            installer.post("calibrate", camera="room")
            wait_until(lambda: installer.failed_ticks() == [], 60, "every tick is green")
        assert "camera_thread_fault" not in agent.output, "also without zones"
        agent.log.unlink()
        boots = server.through
        with agent:
            # What the wizard saved outlives the run; there is no new PIN.
            wait_until(lambda: server.through > boots, what="more events")
            assert "PIN" not in agent.output
        server.check_chain()
