"""A province's boxes come back at once: 60 here, 3,000 in the soak."""

from pathlib import Path

import pytest

from tests.faults.storm import storm
from tests.faults.world import SEED


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_all_outboxes_drain_though_few_files_may_be_open(tmp_path: Path) -> None:
    storm(tmp_path, "embedded", SEED, boxes=60, events=20, open_files=50, within_s=120)
