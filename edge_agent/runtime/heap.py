"""How the C library keeps what cameras' threads allocate, so that memory holds its level.

Only glibc has these settings; other C libraries keep no heap for each thread, and learn no limit.
"""

import ctypes
import time

# Of glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

# Whatever is larger lies in a mapping of its own and goes back to the system when it is freed:
# decoded pictures, segments, the 4.8 MB in which FFmpeg keeps the beginning of a transport stream.
# glibc begins with less, but learns from each such block that is freed to take the next ones from
# the heap; small things fill the gap that one leaves, and the next one finds none of its size.
# The arrays of one picture's analysis (192 KiB at 4:3) stay in the heap: with them outside, the
# agent took a tenth more of the processor to get the same pages again and again.
MAPPED_FROM_BYTES = 200 * 1024
TRIM_EVERY_S = 10.0  # within half a minute all of the heap that is free has been in use again


def settle_heap() -> None:
    """One heap for all threads, and large blocks outside it; call it before threads begin.

    glibc would give each thread a heap, which keeps what it ever needed. Measured: 12 MB a camera
    instead of 18, at the same time of processor.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, MAPPED_FROM_BYTES)


class HeapTrimmer:
    """Gives the system back what the heap has free, also in its middle. For one thread only.

    Of itself glibc gives back the heap's end alone: what was needed once, when all cameras came
    back at once or the machine was too busy to follow, would stay taken for ever. It takes 3 ms of
    the processor for the heap of eight cameras.
    """

    def __init__(self, every_s: float = TRIM_EVERY_S) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._every_s = every_s
        self._due_at = time.monotonic() + every_s

    def trim_when_due(self) -> None:
        """Call it often."""
        if self._trim is None or time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + self._every_s
        self._trim(0)
