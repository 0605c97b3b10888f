"""What is freed goes back to the system: large blocks at once, the rest when the heap is trimmed.

Each question is asked in a process of its own, whose heap is not the one of the tests.
"""

import ctypes
import json
import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest

from edge_agent.runtime.heap import MAPPED_FROM_BYTES, TRIM_EVERY_S, HeapTrimmer, settle_heap

STREAM_BEGINNING = 5_000_000  # bytes that FFmpeg keeps of a transport stream it opens
BLOCKS = 20  # one or two of them may find a gap of the heap that fits
KEY_FRAME, KEY_FRAMES = 60_000, 500
_FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Usage(ctypes.Structure):
    """`mallinfo2` of glibc's malloc.h; `hblkhd` are bytes in mappings of their own."""

    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS.split()]


def ask(question: str, argument: float) -> int:
    """What the function of that name answers in another process."""
    run = subprocess.run(
        [sys.executable, __file__, question, json.dumps(argument)],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(run.stdout)


# --- asked in that process ------------------------------------------------------------------------


def mapped_when_settled(size: int) -> int:
    """How many bytes more are mapped with blocks of that size, once such ones were freed."""
    settle_heap()
    return mapped_as_it_comes(size)


def mapped_as_it_comes(size: int) -> int:
    """Likewise, with glibc's own settings."""
    for _ in range(3):
        thread = threading.Thread(target=np.ones, args=(size, np.uint8))
        thread.start()
        thread.join()
    before = _measure_mapped()
    blocks = [np.ones(size, np.uint8) for _ in range(BLOCKS)]
    return _measure_mapped() - before if blocks else 0


def given_back(every_s: float) -> int:
    """Bytes that the system has again of a heap in which one key frame of a hundred is left."""
    settle_heap()
    trimmer = HeapTrimmer(every_s)
    frames = [np.ones(KEY_FRAME, np.uint8) for _ in range(KEY_FRAMES)]
    frames = frames[::100] + frames[-1:]
    before = psutil.Process().memory_info().rss
    trimmer.trim_when_due()
    return before - psutil.Process().memory_info().rss if frames else 0


def _measure_mapped() -> int:
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Usage
    return int(libc.mallinfo2().hblkhd)


# --- the tests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [STREAM_BEGINNING, MAPPED_FROM_BYTES])
def test_what_is_large_lies_outside_the_heap(size: int) -> None:
    assert ask("mapped_when_settled", size) >= 0.8 * BLOCKS * size


def test_what_is_small_lies_in_the_heap() -> None:
    assert ask("mapped_when_settled", MAPPED_FROM_BYTES // 2) == 0


def test_by_itself_glibc_learns_to_keep_large_blocks() -> None:
    assert ask("mapped_as_it_comes", STREAM_BEGINNING) == 0


def test_a_trimmed_heap_keeps_what_is_used_alone() -> None:
    assert ask("given_back", 0) >= 0.9 * KEY_FRAMES * KEY_FRAME


def test_a_heap_is_trimmed_no_sooner_than_it_is_due() -> None:
    assert ask("given_back", TRIM_EVERY_S) < 0.1 * KEY_FRAMES * KEY_FRAME


if __name__ == "__main__":
    answer = globals()[sys.argv[1]](json.loads(sys.argv[2]))
    print(answer)  # noqa: T201 - what the test reads
