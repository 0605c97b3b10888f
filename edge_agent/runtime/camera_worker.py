"""One camera's thread: frames through the pipeline into the outbox, whatever the camera does.

A camera that hangs or is gone is stated as lost; a recording that was played to its end is not.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import cv2
import structlog

from edge_agent.core.codes import CardRating
from edge_agent.core.confirmation import Box
from edge_agent.core.statements import Statement
from edge_agent.delivery.outbox import Outbox
from edge_agent.runtime.camera_memory import CameraMemory
from edge_agent.runtime.confirmer import Confirmer
from edge_agent.runtime.fault_pictures import FaultPictures
from edge_agent.runtime.held_statements import HeldStatements
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.runtime.sources import empty_seconds
from edge_agent.settings import CameraSettings
from edge_agent.vision.camera import Camera, SignalLost, SourceEnded
from edge_agent.vision.frames import Demand, Frame, FrameSource
from edge_agent.vision.zone_observer import CalibrationError
from event_protocol.events import CameraObserved, CameraState, PresenceObserved, PresenceState
from event_protocol.messages import CameraTelemetry
from event_protocol.names import DeskId

RATE_OVER_S = 5.0
POLL_S = 1.0  # key frames come as often; to be woken in between would be for nothing
AFTER_FAULT_S = 1.0
SHOWN_FOR_S = 5.0  # the wizard fetches a picture every second or two
CALIBRATE_FOR = timedelta(seconds=5)
# A stay outlives a restart only if it is known when it was last seen, and a minute unseen ends it.
SNAPSHOT_EVERY = timedelta(seconds=10)
# Held in memory while the disk is full: some hours of a busy desk.
MAX_HELD = 5000

log = structlog.get_logger(__name__)


class CameraWorker:
    """`seal_card` makes the sealed statement of a rating card; `sealing_key` is the server's.

    The pipeline is used under a lock: its own thread observes, kiosk and wizard ask.
    """

    def __init__(
        self,
        settings: CameraSettings,
        pipeline: DeskPipeline,
        make_source: Callable[[], FrameSource],
        seal_card: Callable[[CardRating], Statement],
        sealing_key: Callable[[], bytes],
        outbox: Outbox,
        folder: Path,
        now: Callable[[], datetime],
        confirmer: Confirmer | None = None,
        max_held: int = MAX_HELD,
    ) -> None:
        self.settings = settings
        self.state: CameraState | None = None
        self.presence: dict[DeskId, dict[str, PresenceState]] = {}
        self.problem: str | None = None
        self.has_ended = False  # a recording was played to its end
        self._pipeline = pipeline
        self._make_source = make_source
        self._seal_card = seal_card
        self._outbox = outbox
        self._now = now
        self._confirmer = confirmer
        self._empty = empty_seconds(settings)
        self._memory = CameraMemory(folder, settings.name, pipeline)
        self._faults = FaultPictures(folder, settings.name, sealing_key, settings.masks)
        self._lock = threading.Lock()
        self._held = HeldStatements(outbox, settings.name, max_held)
        self._newest: Frame | None = None
        self._shown_until = 0.0  # by the monotonic clock
        self._lost_since: datetime | None = None
        self._frame_times: deque[float] = deque(maxlen=500)
        self._analysis_ms: float | None = None
        self._snapshot_at: datetime | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"camera-{settings.name}", daemon=True
        )

    def start(self) -> None:
        """Go on where the last run stopped, and begin to watch."""
        self._restore()
        self._thread.start()

    def stop(self, wait_s: float = 5) -> None:
        """End the thread; one that hangs inside a camera driver is left behind."""
        self._stopping.set()
        self._thread.join(wait_s)

    def stay_at(self, desk: DeskId, at: datetime) -> UUID | None:
        """The session that feedback given now belongs to."""
        with self._lock:
            return self._pipeline.stay_at(desk, at)

    @property
    def is_calibrated(self) -> bool:
        """Whether presence can be known."""
        with self._lock:
            return self._pipeline.is_calibrated

    def calibrate(self) -> None:
        """Somebody vouches that the desk is empty for the next seconds."""
        with self._lock:
            self._calibrate_from(self._now(), CALIBRATE_FOR)

    def take_picture(self) -> bytes | None:
        """The newest frame as JPEG; for some seconds more frames are asked for than otherwise."""
        self._shown_until = time.monotonic() + SHOWN_FOR_S
        newest = self._newest
        if newest is None:
            return None
        is_done, jpeg = cv2.imencode(".jpg", newest.image, [cv2.IMWRITE_JPEG_QUALITY, 80])
        return jpeg.tobytes() if is_done else None

    def measure(self) -> CameraTelemetry:
        """What telemetry and the wizard say of this camera."""
        since = time.monotonic() - RATE_OVER_S
        recent = sum(1 for at in list(self._frame_times) if at >= since)
        newest = self._newest
        age = None if newest is None else (self._now() - newest.captured_at)
        return CameraTelemetry(
            state=self.state or CameraState.LOST,
            fps=round(recent / RATE_OVER_S, 1),
            frame_age_ms=None if age is None else max(0, age // timedelta(milliseconds=1)),
            analysis_ms=self._analysis_ms,
        )

    # --- the camera's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        camera: Camera | None = None
        while not (self._stopping.is_set() or self.has_ended):
            try:
                if camera is None:
                    camera = self._open()
                if self._watch(camera):
                    camera = None  # over; played again if that is wanted
            except Exception as error:
                # Outermost loop of the thread: one bad frame must not end the watch. The camera
                # stays the same, for it counts the threads that hang.
                self.problem = type(error).__name__
                log.exception("camera_thread_fault", camera=self.settings.name)
                self._stopping.wait(AFTER_FAULT_S)
        if camera is not None:
            camera.close()

    def _open(self) -> Camera:
        camera = Camera(self._make_source(), self._now)
        if self._empty is not None:
            self._expect_empty(*self._empty)
        return camera

    def _watch(self, camera: Camera) -> bool:
        """Until the agent stops, or (`True`) a recording is over."""
        while not self._stopping.is_set():
            news = camera.next(POLL_S)
            if isinstance(news, Frame):
                self._take(news)
                camera.ask_for(self._demand_after(news))
            elif isinstance(news, SourceEnded):
                camera.close()
                self._end(news)
                return True
            else:
                self._miss(news)
        return False

    def _end(self, end: SourceEnded) -> None:
        """A finished recording is no fault of a camera; one that can't be read is."""
        self.has_ended = self.settings.play_once or end.error is not None
        log.info("recording_ended", camera=self.settings.name, error=end.error)
        if end.error is not None:
            self._miss(SignalLost(self._now(), self._now(), end.error))

    def _miss(self, lost: SignalLost | None) -> None:
        """No picture: say so if it has become clear, and see to what waits for the disk."""
        if lost is not None:
            self.problem, self._lost_since = lost.reason, lost.since
        with self._lock:
            said: list[Statement | CardRating] = []
            if self._lost_since is not None:
                said += self._pipeline.camera_lost(self._lost_since, self._now())
            if said or self._held.is_waiting:
                self._store(said)
            self._keep_fault_pictures(said, None)

    def _take(self, frame: Frame) -> None:
        began = time.perf_counter()
        with self._lock:
            said = self._pipeline.observe(frame)
            self._newest, self._lost_since, self.problem = frame, None, None
            if said or self._is_snapshot_due(frame.captured_at):
                self._snapshot_at = frame.captured_at
                self._store(said)
            self._keep_fault_pictures(said, frame)
            self._memory.save_when_due(frame.captured_at)
            self._seek_confirmation(frame)
        self._frame_times.append(time.monotonic())
        self._analysis_ms = round(1000 * (time.perf_counter() - began), 1)

    def _seek_confirmation(self, frame: Frame) -> None:
        """Show one picture of each stay to the confirmer, if it has time for it."""
        if self._confirmer is None or not self._pipeline.wants_look:
            return
        if self._confirmer.ask(frame, partial(self._confirm, frame.captured_at)):
            self._pipeline.note_look()

    def _confirm(self, at: datetime, boxes: Sequence[Box]) -> None:
        with self._lock:
            self._pipeline.confirm(boxes, at)

    def _demand_after(self, frame: Frame) -> Demand:
        if time.monotonic() < self._shown_until:
            return Demand.ALL_FRAMES
        with self._lock:
            return self._pipeline.demand_after(frame.captured_at)

    def _is_snapshot_due(self, at: datetime) -> bool:
        return self._snapshot_at is None or abs(at - self._snapshot_at) >= SNAPSHOT_EVERY

    def _store(self, said: list[Statement | CardRating]) -> None:
        """On disk with the tracker's state; what the disk refuses is held and tried again."""
        statements = [self._seal_card(s) if isinstance(s, CardRating) else s for s in said]
        for statement in statements:
            self._note(statement)
        snapshot = json.dumps(self._pipeline.snapshot()).encode()
        self._held.store(statements, {self._snapshot_name: snapshot})

    def _keep_fault_pictures(self, said: list[Statement | CardRating], frame: Frame | None) -> None:
        """Of a new alarm, once for all desks; later, a good frame may be the one before."""
        if frame is not None and self._pipeline.is_camera_good:
            self._faults.note_good(frame)
        stated = (s for s in said if isinstance(s, Statement))
        alarms = {
            (data.state, s.at)
            for s in stated
            if isinstance(data := s.data, CameraObserved) and data.state is not CameraState.OK
        }
        for state, at in alarms:
            self._faults.keep(state, at, frame)

    def _note(self, statement: Statement) -> None:
        if isinstance(statement.data, CameraObserved):
            self.state = statement.data.state
        elif isinstance(statement.data, PresenceObserved) and statement.desk is not None:
            zones = self.presence.setdefault(statement.desk, {})
            zones[statement.data.zone] = statement.data.state

    # --- what outlives a restart -----------------------------------------------------------------

    @property
    def _snapshot_name(self) -> str:
        return f"camera/{self.settings.name}"

    def _restore(self) -> None:
        stored = self._outbox.read_snapshot(self._snapshot_name)
        try:
            if stored is not None:
                self._pipeline.restore(json.loads(stored))
            if self._empty is None:
                self._memory.restore()
        except (ValueError, OSError, CalibrationError) as error:
            log.warning("camera_begins_anew", camera=self.settings.name, reason=str(error))

    def _expect_empty(self, start_s: float, end_s: float) -> None:
        with self._lock:
            begin = self._now() + timedelta(seconds=start_s)
            self._calibrate_from(begin, timedelta(seconds=end_s - start_s))

    def _calibrate_from(self, begin: datetime, span: timedelta) -> None:
        self._pipeline.calibrate_between(begin, begin + span)
        self._memory.expect_reference(begin + span)
