"""A detector in a process of its own, because a broken model can crash OpenCV, or never come back.

Seen with OpenCV 4.14: of sound ONNX files with up to six bytes changed, one in ten crashed the
process that read it. So only the child parses it; here nothing worse happens than `DetectorError`.
Both ends stand in this file: the child is `python -m edge_agent.vision.detector_process`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import Any, Protocol, Self

import cv2
import numpy as np

from edge_agent.core.confirmation import Box
from edge_agent.settings import ConfirmerSettings
from edge_agent.vision.face_detector import DetectorError, load_face_detector
from edge_agent.vision.frames import Image
from edge_agent.vision.person_detector import load_person_detector

STARTS_WITHIN_S = 60  # a slow card, a large model
PATIENCE = 10  # times the budget: what takes longer will not come back
ENDS_WITHIN_S = 5


class Detector(Protocol):
    """What says where somebody is in a picture; raises `DetectorError`."""

    def find(self, image: Image) -> list[Box]:
        """The people, or the faces."""
        ...


class DetectorProcess:
    """The parent's end; use it as a context. For one thread, but any may `close` it.

    Raises `DetectorError` if the model is refused.
    """

    def __init__(self, settings: ConfirmerSettings) -> None:
        self._budget_ms = settings.budget_ms
        self._end, child_end = Pipe()
        with child_end:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, with our own settings
                [
                    sys.executable,
                    "-m",
                    "edge_agent.vision.detector_process",
                    str(child_end.fileno()),
                    settings.model_dump_json(),
                ],
                pass_fds=[child_end.fileno()],
                stdin=subprocess.DEVNULL,
                # What OpenCV prints on its own is said again by the error.
                env={**os.environ, "OPENCV_LOG_LEVEL": "SILENT"},
            )
        try:
            self._receive(STARTS_WITHIN_S)
        except DetectorError:
            self._release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release()

    def find(self, image: Image) -> list[Box]:
        """Where somebody is."""
        try:
            self._end.send_bytes(json.dumps(image.shape).encode())
            self._end.send_bytes(np.ascontiguousarray(image).tobytes())
        except OSError:
            raise DetectorError(self._how_it_ended()) from None
        return [Box(*box) for box in self._receive(PATIENCE * self._budget_ms / 1000)]

    def try_out(self) -> float:
        """Milliseconds that a look takes: the better of two, at a picture of nothing.

        Raises `DetectorError` if that is beyond the budget, or the answer does not fit its layout.
        """
        nothing = np.full((360, 640, 3), 127, np.uint8)
        times = []
        for _ in range(2):
            began = time.monotonic()
            self.find(nothing)
            times.append(1000 * (time.monotonic() - began))
        look_ms = min(times)
        if look_ms > self._budget_ms:
            message = f"a look takes {look_ms:.3g} ms, longer than {self._budget_ms:g} ms"
            raise DetectorError(message)
        return look_ms

    def close(self) -> None:
        """End the child, whatever it does."""
        self._process.kill()
        self._process.wait(ENDS_WITHIN_S)

    def _release(self) -> None:
        self.close()
        self._end.close()

    def _receive(self, within_s: float) -> Any:
        try:
            if not self._end.poll(within_s):
                raise DetectorError(f"no answer within {within_s:g} s")
            answer = json.loads(self._end.recv_bytes())
        except (EOFError, OSError):
            raise DetectorError(self._how_it_ended()) from None
        if "refused" in answer:
            raise DetectorError(answer["refused"])
        return answer["found"]

    def _how_it_ended(self) -> str:
        status = self._process.wait(ENDS_WITHIN_S)
        return f"the model crashed the process that reads it (exit status {status})"


def load_detector(settings: ConfirmerSettings) -> Detector:
    """The detector that the settings describe; raises `DetectorError`."""
    if settings.model is not None and settings.sha256 is not None:
        return load_person_detector(
            settings.model,
            settings.sha256,
            settings.layout,
            settings.input_size,
            settings.person_class,
        )
    faces = load_face_detector()
    if faces is None:
        raise DetectorError("this OpenCV brings no face detector")
    return faces


def serve(end: Connection, settings: ConfirmerSettings) -> None:
    """The child: one answer for each picture, until the parent is gone or the model fails."""
    cv2.setNumThreads(1)  # cameras have the other cores
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # meant for the parent, whose end is seen
    try:
        detector = load_detector(settings)
        end.send_bytes(b'{"found": []}')
        while True:
            shape = json.loads(end.recv_bytes())
            image = np.frombuffer(end.recv_bytes(), np.uint8).reshape(shape)
            end.send_bytes(json.dumps({"found": detector.find(image)}).encode())
    except DetectorError as error:
        end.send_bytes(json.dumps({"refused": str(error)}).encode())
    except EOFError:
        return


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), ConfirmerSettings.model_validate_json(sys.argv[2]))
