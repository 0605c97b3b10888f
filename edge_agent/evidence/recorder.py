"""From a camera's packets to the ring: collected in the camera's thread, written in one of its own.

A slow or full disk never holds up a camera: what can't be written in time is named as missing.
"""

import contextlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from edge_agent.core.packets import Packet, StreamFormat
from edge_agent.evidence.data_keys import DataKeys
from edge_agent.evidence.ring import Ring
from edge_agent.evidence.segment_builder import RawSegment, SegmentBuilder
from edge_agent.evidence.segment_file import encrypt
from edge_agent.evidence.segments import CODECS, SegmentError, mux
from event_protocol.evidence import Unavailable

# What waits for the disk is in memory; a hundred cameras of 2 Mbit/s make 25 MB a second.
_MOST_WAITING_BYTES = 64 * 2**20
_TICK_S = 5.0
_STOP_WITHIN_S = 10.0  # a disk that hangs is left behind
# A camera that pauses so long has no more to say for now, also if nobody has hung up.
_SILENCE = timedelta(seconds=15)
# Key frames do not follow each other without a pause.
_SHORTEST_GAP = timedelta(seconds=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Gap:
    """A span without pictures."""

    begin: datetime
    end: datetime
    reason: Unavailable
    size: int = 0


class SegmentWriter:
    """One thread that puts pieces of all cameras into the ring, and keeps its limits.

    `on_tick` is called every few seconds.
    """

    def __init__(
        self,
        ring: Ring,
        keys: DataKeys,
        now: Callable[[], datetime],
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        self._ring = ring
        self._keys = keys
        self._now = now
        self._on_tick = on_tick
        self._tick_at = 0.0  # by the monotonic clock
        self._waiting: queue.SimpleQueue[tuple[str, RawSegment | Gap] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_pieces: Counter[str] = Counter()  # by camera
        self._waiting_bytes = 0
        self._is_refused = False
        self._thread = threading.Thread(target=self._run, name="segments", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end."""
        self._waiting.put(None)
        self._thread.join(_STOP_WITHIN_S)

    def is_done_with(self, camera: str) -> bool:
        """Whether all that was put of it is in the ring."""
        with self._lock:
            return self._waiting_pieces[camera] == 0

    def put(self, camera: str, piece: RawSegment | Gap) -> None:
        """Never blocks: what the disk is too slow for is lost."""
        with self._lock:
            is_too_much = self._waiting_bytes + piece.size > _MOST_WAITING_BYTES
            if not is_too_much:
                self._waiting_pieces[camera] += 1
                self._waiting_bytes += piece.size
        if is_too_much:
            log.error("segment_lost", camera=camera, reason="the disk is too slow")
        else:
            self._waiting.put((camera, piece))

    def _run(self) -> None:
        is_running = True
        while is_running:
            try:
                is_running = self._work()
            except Exception:
                # Outermost loop of the thread: one camera's piece must not end all recording.
                log.exception("segment_fault")

    def _work(self) -> bool:
        """One piece, if there is one in time; whether there is more to come."""
        self._tick()
        try:
            item = self._waiting.get(timeout=_TICK_S)
        except queue.Empty:
            return True
        if item is None:
            return False
        try:
            self._write(*item)
        finally:
            with self._lock:
                self._waiting_pieces[item[0]] -= 1
                self._waiting_bytes -= item[1].size
        return True

    def _write(self, camera: str, piece: RawSegment | Gap) -> None:
        try:
            if isinstance(piece, RawSegment):
                self._keep(camera, piece)
            else:
                self._ring.note_gap(camera, piece.begin, piece.end, piece.reason)
        except OSError as error:
            if not self._is_refused:
                log.error("segment_not_kept", camera=camera, reason=str(error))
            self._is_refused = True
        else:
            self._is_refused = False

    def _keep(self, camera: str, piece: RawSegment) -> None:
        try:
            mp4 = mux(piece)
        except SegmentError as error:
            log.warning("segment_unusable", camera=camera, reason=str(error))
            self._ring.note_gap(camera, piece.begin, piece.end, Unavailable.UNREADABLE)
            return
        key = self._keys.key_for(camera, piece.begin, piece.end)
        content = encrypt(mp4, camera, piece.begin, piece.end, key)
        try:
            self._ring.add(camera, piece.begin, piece.end, content)
        except OSError:
            self._ring.note_gap(camera, piece.begin, piece.end, Unavailable.DISK_FULL)
            raise

    def _tick(self) -> None:
        """Others fill the disk, too; and gaps go on."""
        if time.monotonic() < self._tick_at:
            return
        self._tick_at = time.monotonic() + _TICK_S
        self._on_tick()
        # If nothing is left to delete, the next segment says so.
        with contextlib.suppress(OSError):
            self._ring.make_room(self._now())


class CameraRecorder:
    """One camera's `PacketSink`. Its times without pictures become gaps of the ring."""

    def __init__(self, camera: str, writer: SegmentWriter, now: Callable[[], datetime]) -> None:
        self.camera = camera
        self._writer = writer
        self._now = now
        self._lock = threading.Lock()
        self._builder: SegmentBuilder | None = None
        self._missing_since = now()
        self._missing_reason = Unavailable.CAMERA_OFF

    def begin(self, stream: StreamFormat) -> None:
        """The camera was opened (again)."""
        with self._lock:
            self._finish()
            is_known = stream.codec in CODECS
            self._missing_reason = Unavailable.CAMERA_OFF if is_known else Unavailable.NOT_COVERED
            self._builder = SegmentBuilder(stream) if is_known else None
        if not is_known:
            log.warning("codec_not_recorded", camera=self.camera, codec=stream.codec)

    def take(self, packet: Packet) -> None:
        """The next picture."""
        with self._lock:
            if self._builder is None:
                return
            finished = self._builder.take(packet)
            if finished is not None:
                self._put(finished)
            # With nothing else does a piece begin.
            if packet.is_key and self._builder.begin is not None:
                self._note_missing(self._builder.begin)

    def end(self) -> None:
        """The camera is gone, or the agent stops."""
        with self._lock:
            self._finish()

    def settle(self, at: datetime) -> bool:
        """Whether nothing more will be written of the time before; if not, it soon will be so.

        What is being collected then ends with the next key frame: somebody waits for it.
        """
        with self._lock:
            if self._builder is None or self._builder.begin is None:
                return self._now() > at
            if self._builder.begin > at:
                return True
            self._builder.cut_after(at)
            return False

    def note_time(self) -> None:
        """Call it now and then: what is missing until now is told, lest a kill hide it."""
        with self._lock:
            now = self._now()
            if self._builder is not None and self._builder.is_silent_since(now - _SILENCE):
                self._finish()
            if self._builder is None or self._builder.begin is None:
                self._note_missing(now)

    def _finish(self) -> None:
        """The builder stays: a thread that was believed dead may end what a new one has begun."""
        if self._builder is not None and (last := self._builder.finish()) is not None:
            self._put(last)

    def _put(self, piece: RawSegment) -> None:
        self._writer.put(self.camera, piece)
        self._missing_since = piece.end

    def _note_missing(self, until: datetime) -> None:
        if until - self._missing_since >= _SHORTEST_GAP:
            self._writer.put(self.camera, Gap(self._missing_since, until, self._missing_reason))
            self._missing_since = until
