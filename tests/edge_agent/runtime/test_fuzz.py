"""No damaged file and no damaged stream ends the agent, holds it up or raises what nobody expects.

Read by a program of its own (`fuzz_readers.py`), whose last words name the attempt that ended it.
Videos have a test of their own (`vision/test_damaged_input.py`).
"""

import os
import random
import sys
from pathlib import Path

import pytest

from tests.processes.cable import Cable
from tests.processes.ports import wait_until
from tests.processes.program import Program
from tests.processes.rtsp_server import RtspServer

READER = "tests.edge_agent.runtime.fuzz_readers"
# `make soak` damages more, and otherwise each time.
SEED = os.environ.get("FUZZ_SEED", "")
FILES_A_KIND, STREAMS, PATIENCE_S = (200, 20, 900) if SEED else (20, 3, 160)
IMAGES = ("png", "jpg", "webp", "bmp", "tiff", "reference", "view")
TEXTS = ("zones", "settings", "cameras", "snapshot", "order", "head", "enrolment", "cascade")
KINDS = (*IMAGES, *TEXTS, "mjpeg", "libx265", "segment", "outbox", "key", "stream")

pytestmark = [pytest.mark.processes, pytest.mark.timeout(PATIENCE_S + 20)]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, testdata: Path) -> str:
    """All that both programs said: of the files, and of a camera whose line is bad."""
    folder = tmp_path_factory.mktemp("fuzz")
    arguments: list[str | Path] = [sys.executable, "-m", READER, folder / "files"]
    (folder / "files").mkdir()
    dice = random.Random(f"line{SEED}")  # noqa: S311 - no secret

    def spoil(piece: bytes) -> bytes:
        """A few bits of some pieces, so that the connection lives for a while."""
        spoilt = bytearray(piece)
        for _ in range(dice.choice((0, 0, 1, 20))):
            spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
        return bytes(spoilt)

    desk = testdata / "video" / "desk_one_by_one_a.mp4"
    with RtspServer(folder, desk) as server, Cable(server.port) as cable:
        cable.damage = spoil
        url = server.url_of("desk", cable.port)
        files = Program([*arguments, str(FILES_A_KIND), SEED], folder / "files.log")
        streams = Program([*arguments, str(STREAMS), SEED, url], folder / "streams.log")
        with files, streams:
            wait_until(
                lambda: not (files.is_running or streams.is_running), PATIENCE_S, "both are done"
            )
    return files.output + streams.output


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_read_as_far_as_it_goes_or_refused(said: str, kind: str) -> None:
    assert f"done {kind}\n" in said, said[-2000:]


def test_no_kind_is_forgotten(said: str) -> None:
    done = {line.split()[1] for line in said.splitlines() if line.startswith("done ")}
    assert done == set(KINDS)
