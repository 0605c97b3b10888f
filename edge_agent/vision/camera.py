"""Reads a source in a thread of its own, so that a camera that hangs never hangs the agent.

The reading thread and the consumer meet in one slot. Of a live source the slot holds the newest
frame only, so a slow consumer never lags behind; of a recording read at full speed it holds the
next one, so that nothing is dropped.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from edge_agent.vision.frames import Demand, Frame, FrameSource, SourceError

log = structlog.get_logger(__name__)

STALL_S = 5.0  # key frames come every 1 to 4 s
# Opening a stream takes longer than reading it: 3 s on a slow camera, 10 s where a router starts.
OPEN_S = 15.0
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0  # a camera that was unplugged at noon is back within half a minute
POLL_S = 0.1  # while there is nothing to wait for
# A thread stuck in a driver can't be ended. Two may be left behind; then we wait for one of them.
MAX_STUCK_THREADS = 2


@dataclass(frozen=True, slots=True)
class SignalLost:
    """No picture has come since `since`; said once until pictures come again."""

    since: datetime
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """A recording is over; `error` says why if it could not be read to its end."""

    error: str | None


class _Reader:
    """One attempt to read the source; left behind with its slot if it hangs."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._is_stopped = False
        self._is_over = False
        self.error: str | None = None
        self.thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self.thread.start()

    @property
    def is_over(self) -> bool:
        """The source gives no more, and the last frame has been taken."""
        with self._changed:
            return self._is_over and self._frame is None

    def take(self, timeout_s: float) -> Frame | None:
        """The frame in the slot, waiting for one if need be."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame or self._is_over, timeout_s)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            return frame

    def stop(self) -> None:
        """Ends the thread at its next frame."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            for frame in self._source.frames():
                if not self._put(frame):
                    break
        except SourceError as error:
            self.error = str(error)
        except Exception as error:
            # The thread's outermost loop: a driver may raise anything; the camera is tried again.
            log.exception("camera_thread_failed")
            self.error = f"{type(error).__name__}: {error}"
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        with self._changed:
            if self._source.keeps_all:
                self._changed.wait_for(lambda: self._frame is None or self._is_stopped)
            self._frame = frame
            self._changed.notify_all()
            return not self._is_stopped


class Camera:
    """A source that is watched and, if it is no recording, opened again. For one thread only."""

    def __init__(
        self,
        source: FrameSource,
        now: Callable[[], datetime],
        *,
        stall_s: float = STALL_S,
        open_s: float = OPEN_S,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self._source = source
        self._now = now
        self._stall_s, self._open_s, self._first_retry_s = stall_s, open_s, first_retry_s
        self._reader: _Reader | None = None
        self._stuck: list[_Reader] = []
        self._ended: SourceEnded | None = None
        self._retry_s = first_retry_s
        self._retry_at = self._deadline = 0.0  # by the monotonic clock
        self._seen_at: datetime | None = None
        self._is_lost = False

    def next(self, timeout_s: float) -> Frame | SignalLost | SourceEnded | None:
        """The next thing to know about the camera; `None` if there is nothing new in that time."""
        give_up = time.monotonic() + timeout_s
        self._seen_at = self._seen_at or self._now()
        while self._ended is None:
            self._open_when_due()
            news = self._wait_until(give_up)
            if news is not None or time.monotonic() >= give_up:
                return news
        return self._ended

    def ask_for(self, demand: Demand) -> None:
        """From now on; the source begins with all frames."""
        self._source.demand = demand

    def close(self) -> None:
        """Stop reading; a thread that hangs is left to the end of the process."""
        if self._reader is not None:
            self._reader.stop()
            self._reader.thread.join(timeout=1.0)
            self._reader = None

    def _open_when_due(self) -> None:
        self._stuck = [reader for reader in self._stuck if reader.thread.is_alive()]
        is_due = self._reader is None and time.monotonic() >= self._retry_at
        if is_due and len(self._stuck) < MAX_STUCK_THREADS:
            self._reader = _Reader(self._source)
            self._deadline = time.monotonic() + self._open_s

    def _wait_until(self, give_up: float) -> Frame | SignalLost | SourceEnded | None:
        reader, now = self._reader, time.monotonic()
        if reader is None:
            time.sleep(max(0.0, min(give_up, now + POLL_S) - now))
            return None
        patience = give_up if self._is_lost else min(give_up, self._deadline)
        frame = reader.take(max(0.0, patience - now))
        if frame is not None:
            self._seen_at, self._is_lost = frame.captured_at, False
            self._retry_s = self._first_retry_s
            self._deadline = time.monotonic() + self._stall_s
            return frame
        if reader.is_over:
            return self._finish(reader)
        return self._give_up_on(reader) if time.monotonic() >= self._deadline else None

    def _finish(self, reader: _Reader) -> SignalLost | SourceEnded | None:
        self._reader = None
        if self._source.is_recording:
            self._ended = SourceEnded(reader.error)
            return self._ended
        self._retry_later()
        return self._lose(reader.error or "the stream ended")

    def _give_up_on(self, reader: _Reader) -> SignalLost | None:
        if not self._source.is_recording:
            reader.stop()
            self._stuck.append(reader)
            self._reader = None
            self._retry_later()
        return self._lose("the camera sends no picture")

    def _retry_later(self) -> None:
        """Jitter keeps a hundred cameras behind one router from coming back all at once."""
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        self._retry_at = time.monotonic() + self._retry_s * jitter
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def _lose(self, reason: str) -> SignalLost | None:
        if self._is_lost:
            return None
        self._is_lost = True
        log.warning("camera_lost", reason=reason)
        at = self._now()
        return SignalLost(since=min(self._seen_at or at, at), at=at, reason=reason)
