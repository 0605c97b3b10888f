"""The ring keeps its limits, never deletes what is held, and is whole after any end."""

import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from edge_agent.delivery.files import write_whole
from edge_agent.evidence.ring import Holdings, Ring, RingFullError, RingLimits, survey
from event_protocol.evidence import Span, Unavailable
from tests.edge_agent.evidence.streams import START
from tests.processes.full_disk import no_file_grows_beyond
from tests.processes.ports import wait_until
from tests.processes.program import Program

KB = 1024
DAY = timedelta(days=1)


class Disk:
    """How much is free, as a test says."""

    def __init__(self) -> None:
        self.free = 10**9

    def __call__(self) -> int:
        return self.free


def make_ring(
    folder: Path,
    max_kb: int = 10**6,
    keep: timedelta = DAY,
    min_free: int = 0,
    free: Disk | None = None,
) -> Ring:
    return Ring(folder, RingLimits(max_kb * KB, keep, min_free), write_whole, free)


def second(number: float) -> timedelta:
    return timedelta(seconds=number)


def add(ring: Ring, number: int, camera: str = "room", size: int = KB) -> None:
    """The segment of the ten seconds with that number."""
    begin = START + second(10 * number)
    ring.add(camera, begin, begin + second(10), bytes([number % 256]) * size)


def span(first_s: float, last_s: float) -> Span:
    return Span(begin=START + second(first_s), end=START + second(last_s))


ALWAYS = span(-1e6, 1e7)


def numbers(ring: Ring, camera: str = "room", within: Span = ALWAYS) -> list[int]:
    """Which segments are there."""
    found = ring.list_segments(camera, within)
    there = [(entry.begin - START) // second(10) for entry in found]
    assert [ring.read(entry, 1)[0] for entry in found] == [number % 256 for number in there]
    return there


def gaps(ring: Ring, camera: str = "room") -> list[tuple[float, float, Unavailable | None]]:
    return [
        ((g.begin - START).total_seconds(), (g.end - START).total_seconds(), g.reason)
        for g in ring.list_gaps(camera, ALWAYS)
    ]


def test_the_oldest_of_all_cameras_makes_room(tmp_path: Path) -> None:
    ring = make_ring(tmp_path / "ring", max_kb=5)
    for number in range(6):
        add(ring, number, ("room", "hall")[number % 2])
    assert numbers(ring) == [2, 4]
    assert numbers(ring, "hall") == [1, 3, 5]
    assert ring.size == 5 * KB
    assert gaps(ring) == [(0, 10, Unavailable.OVERWRITTEN)]
    assert gaps(ring, "hall") == []


def test_what_is_too_old_goes_a_few_at_a_time(tmp_path: Path) -> None:
    ring = make_ring(tmp_path / "ring", keep=second(100))
    for number in range(12):
        add(ring, number)
    assert numbers(ring) == list(range(1, 12))
    add(ring, 10_000)  # the clock was wrong for a moment
    assert numbers(ring) == [*range(4, 12), 10_000]
    assert gaps(ring) == [(0, 40, Unavailable.OVERWRITTEN)]  # told as one


def test_what_is_held_is_never_deleted(tmp_path: Path) -> None:
    ring = make_ring(tmp_path / "ring", max_kb=4, keep=second(60))
    for number in range(4):
        add(ring, number)
    ring.hold("request", "room", span(12, 25))
    for number in range(4, 8):
        add(ring, number)
    assert numbers(ring) == [1, 2, 6, 7]
    ring.hold("other", "room", span(0, 1000))
    with pytest.raises(RingFullError):
        add(ring, 8)
    ring.release("other")
    ring.release("request")
    ring.release("never held")
    add(ring, 8)
    assert numbers(ring) == [2, 6, 7, 8]


def test_it_gives_way_before_the_disk_is_full(tmp_path: Path) -> None:
    disk = Disk()
    ring = make_ring(tmp_path / "ring", min_free=10_000, free=disk)
    for number in range(5):
        add(ring, number)
    disk.free = 9_000  # somebody else filled it, and deleting does not help
    with pytest.raises(RingFullError):
        ring.make_room(START + second(50))
    assert numbers(ring) == []
    with pytest.raises(RingFullError):
        add(ring, 6)
    disk.free = 10_500
    with pytest.raises(RingFullError):
        add(ring, 7)  # would leave less than must stay free
    disk.free = 12_000
    add(ring, 8)
    assert numbers(ring) == [8]


def test_all_is_there_after_a_restart(tmp_path: Path) -> None:
    ring = make_ring(tmp_path / "ring", max_kb=3)
    for number in range(5):
        add(ring, number)
    ring.note_gap("room", START + second(60), START + second(90.5), Unavailable.CAMERA_OFF)
    folder = tmp_path / "ring" / "room"
    (folder / "note.txt").write_text("somebody else's")
    (folder / "5-6.mystery").write_text("of a later version")
    (folder / "7-8.segment.new").write_bytes(b"cut off by a kill")
    again = make_ring(tmp_path / "ring", max_kb=3)
    assert numbers(again) == [2, 3, 4]
    assert again.size == 3 * KB
    assert gaps(again) == [
        (0, 20, Unavailable.OVERWRITTEN),
        (60, 90.5, Unavailable.CAMERA_OFF),
    ]
    assert not list(folder.glob("*.new"))
    assert (folder / "note.txt").exists()
    assert folder.stat().st_mode & 0o77 == 0


def test_a_gap_that_goes_on_is_one(tmp_path: Path) -> None:
    ring = make_ring(tmp_path / "ring")
    for begin in (0, 60, 120):
        at = START + second(begin)
        ring.note_gap("room", at, at + second(60), Unavailable.CAMERA_OFF)
    ring.note_gap("hall", START, START + second(5), Unavailable.CAMERA_OFF)
    ring.note_gap("room", START + second(300), START + second(301), Unavailable.CAMERA_OFF)
    ring.note_gap("room", START + second(301), START + second(302), Unavailable.DISK_FULL)
    assert gaps(ring) == [
        (0, 180, Unavailable.CAMERA_OFF),
        (300, 301, Unavailable.CAMERA_OFF),
        (301, 302, Unavailable.DISK_FULL),
    ]
    assert ring.list_gaps("room", span(200, 250)) == []


def test_a_survey_tells_how_much_there_is_and_changes_nothing(tmp_path: Path) -> None:
    assert survey(tmp_path / "ring") == {}
    ring = make_ring(tmp_path / "ring")
    for number in range(3):
        add(ring, number)
    add(ring, 7, "hall", 5 * KB)
    ring.note_gap("hall", START, START + second(9), Unavailable.CAMERA_OFF)
    half_written = tmp_path / "ring" / "hall" / "7-8.segment.new"
    half_written.touch()
    assert survey(tmp_path / "ring") == {
        "room": Holdings(second(30), 3 * KB),
        "hall": Holdings(second(10), 5 * KB),
    }
    assert half_written.exists(), "an agent may be about to finish it"


def test_a_span_finds_its_segments(tmp_path: Path) -> None:
    ring = make_ring(tmp_path / "ring")
    for number in (0, 1, 2, 5):
        add(ring, number)
    assert numbers(ring, within=span(12, 20)) == [1, 2]
    assert numbers(ring, within=span(30.001, 49)) == []
    assert numbers(ring, within=span(55, 55)) == [5]


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    ring = make_ring(tmp_path / "ring")
    add(ring, 0)
    with no_file_grows_beyond(4 * KB), pytest.raises(OSError, match="File too large"):
        add(ring, 1, size=9 * KB)
    assert numbers(ring) == [0]
    assert [path.name for path in (tmp_path / "ring" / "room").iterdir()] == [
        entry.name for entry in ring.list_segments("room", ALWAYS)
    ]
    add(ring, 2)
    assert numbers(ring) == [0, 2]


_WRITER = """
import sys
from datetime import datetime, timedelta
from pathlib import Path
from edge_agent.delivery.files import write_whole
from edge_agent.evidence.ring import Ring, RingLimits

ring = Ring(Path(sys.argv[1]), RingLimits(2_000_000, timedelta(days=1), 0), write_whole)
for number in range(10**6):
    begin = datetime.fromisoformat(sys.argv[2]) + timedelta(seconds=10 * number)
    ring.add("room", begin, begin + timedelta(seconds=10), bytes([number % 256]) * 300_000)
"""


def _is_at_work(room: Path, start: datetime) -> bool:
    """A segment that began at `start` or later is there, and one was deleted."""
    begins = [int(path.name.split("-")[0]) / 1000 for path in room.glob("*.segment")]
    return max(begins, default=0) >= start.timestamp() and any(room.glob("*.overwritten"))


@pytest.mark.processes
def test_a_kill_leaves_whole_segments_only(tmp_path: Path, repository: Path) -> None:
    folder = tmp_path / "ring"
    for run in range(3):
        start = START + run * second(100_000)
        arguments = [sys.executable, "-c", _WRITER, str(folder), start.isoformat()]
        writer = Program(arguments, tmp_path / "log", cwd=repository).start()
        # Each run writes some and deletes some before it is killed.
        wait_until(partial(_is_at_work, folder / "room", start), 30, "segments")
        writer.kill()
        ring = make_ring(folder)
        found = ring.list_segments("room", ALWAYS)
        assert found
        for entry in found:
            content = ring.read(entry)
            assert content == content[:1] * 300_000
        assert {path.suffix for path in (folder / "room").iterdir()} <= {
            ".segment",
            ".overwritten",
        }
        for path in folder.glob("room/*.overwritten"):
            path.unlink()
        assert writer.output == ""
