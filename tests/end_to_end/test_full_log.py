"""Both programs' log on a full disk: what finds no room is dropped, and the thread goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

WRITES_ON = """
import resource, sys
import structlog
from {module} import {function} as begin

begin()
log = structlog.get_logger()
log.error("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (300, -1))
for number in range(50):
    log.error("no room", number=number)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
log.error("after")
print("went on")
"""


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("central_server.services.logs", "write_json_logs"),
        ("edge_agent.runtime.logs", "configure_logs"),
    ],
)
def test_a_log_that_finds_no_room_ends_nothing(tmp_path: Path, module: str, function: str) -> None:
    program = [sys.executable, "-c", WRITES_ON.format(module=module, function=function)]
    log = tmp_path / "log"
    with log.open("w") as errors:
        done = subprocess.run(program, stdout=subprocess.PIPE, stderr=errors, check=True)
    assert done.stdout == b"went on\n"
    written = log.read_text()
    assert "before" in written
    assert "after" in written
    assert written.count("no room") < 10
