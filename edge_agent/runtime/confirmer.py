"""The optional second opinion on presence: looks at one picture of each stay, beside the cameras.

What fails here is said once and switched off; presence goes on by its own evidence.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from edge_agent.core.confirmation import Box
from edge_agent.settings import ConfirmerSettings
from edge_agent.vision.detector_process import DetectorProcess
from edge_agent.vision.face_detector import DetectorError
from edge_agent.vision.frames import Frame

# A busy moment is no slow model.
SLOW_LOOKS = 3
ENDS_WITHIN_S = 5

Answer = Callable[[Sequence[Box]], None]

log = structlog.get_logger(__name__)


class Confirmer:
    """One for all cameras of the box, in a thread of its own. For any thread.

    `problem`: why it was switched off; `None` while it works, or is about to.
    """

    def __init__(self, settings: ConfirmerSettings) -> None:
        self.settings = settings
        self.problem: str | None = None
        # One picture waits while another is looked at; further ones come again with later frames.
        self._asked: queue.Queue[tuple[Frame, Answer] | None] = queue.Queue(maxsize=1)
        self._is_stopping = False
        self._detector: DetectorProcess | None = None
        self._thread = threading.Thread(target=self._run, name="confirmer", daemon=True)

    def start(self) -> None:
        """Try the detector out, then wait for pictures; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End it, also in the middle of a look."""
        self._is_stopping = True
        if self._detector is not None:
            self._detector.close()
        if not self._asked.full():
            self._asked.put(None)
        self._thread.join(ENDS_WITHIN_S)

    def ask(self, frame: Frame, answer: Answer) -> bool:
        """Look at the frame soon; its thread calls `answer` with where somebody is.

        `False` if there is no time for it, or nothing that could look.
        """
        if self.problem is not None:
            return False
        try:
            self._asked.put_nowait((frame, answer))
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        try:
            with DetectorProcess(self.settings) as detector:
                self._detector = detector
                self._serve(detector)
        except DetectorError as error:
            self._switch_off(str(error))
        except Exception as error:
            # Outermost loop of the thread: nothing asks whether it lives.
            log.exception("confirmer_fault")
            self._switch_off(type(error).__name__)

    def _serve(self, detector: DetectorProcess) -> None:
        look_ms = detector.try_out()
        log.info("confirmer_ready", layout=self.settings.layout, look_ms=round(look_ms))
        slow = 0
        while slow < SLOW_LOOKS:
            look_s = self._look(detector)
            if look_s is None:
                return
            slow = slow + 1 if 1000 * look_s > self.settings.budget_ms else 0
        raise DetectorError(f"{slow} looks took longer than {self.settings.budget_ms:g} ms")

    def _look(self, detector: DetectorProcess) -> float | None:
        """Seconds that the next picture took; `None` if there will be none."""
        asked = self._asked.get()
        if asked is None or self._is_stopping:
            return None
        frame, answer = asked
        began = time.monotonic()
        boxes = detector.find(frame.image)
        look_s = time.monotonic() - began
        answer(boxes)
        return look_s

    def _switch_off(self, reason: str) -> None:
        if not self._is_stopping:
            self.problem = reason
            log.error("confirmer_off", layout=self.settings.layout, reason=reason)
