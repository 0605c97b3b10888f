"""The same desk as a network camera sees it: an RTSP stream at real pace."""

from pathlib import Path

import pytest

from tests.end_to_end.desk_clip import DeskClip, has_ended, impatient_rules
from tests.end_to_end.province import DeskAgent, Province
from tests.processes.ports import wait_until
from tests.processes.rtsp_server import RtspServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


def test_a_stream_becomes_its_sessions(tmp_path: Path, testdata: Path, repository: Path) -> None:
    clip = DeskClip(testdata)
    with (
        RtspServer(tmp_path, clip.path) as camera,
        Province(tmp_path / "province", "embedded", impatient_rules(repository)) as province,
    ):
        settings = {"source": camera.url, "zones": clip.zones, "empty": "0-5"}
        agent = DeskAgent(tmp_path / "agent", settings)
        province.enrol(agent)
        with agent:
            wait_until(lambda: has_ended(province, len(clip.stays)), 120, "three sessions are over")
        clip.check(province)
