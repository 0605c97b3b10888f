"""A recording of a real desk, played once: exactly its sessions, and nothing claimed besides."""

from pathlib import Path

import pytest

from tests.end_to_end.desk_clip import DeskClip, has_ended, impatient_rules
from tests.end_to_end.province import BROKERS, DeskAgent, Province
from tests.processes.ports import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


@pytest.mark.parametrize("kind", BROKERS)
def test_a_recording_becomes_its_sessions(
    kind: str, tmp_path: Path, testdata: Path, repository: Path
) -> None:
    clip = DeskClip(testdata)
    # As fast as it can be read; its times are those of its frames.
    camera = {"source": str(clip.path), "zones": clip.zones, "empty": "0-5", "paced": False}
    agent = DeskAgent(tmp_path / "agent", camera)
    with Province(tmp_path / "province", kind, impatient_rules(repository)) as province:
        province.enrol(agent)
        with agent:
            wait_until(lambda: has_ended(province, len(clip.stays)), 60, "three sessions are over")
        clip.check(province)
