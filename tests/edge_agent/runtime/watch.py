"""A camera as the agent watches it, with a clock that a test may set."""

import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from edge_agent.core.statements import Statement
from edge_agent.runtime.pipeline import DeskPipeline
from edge_agent.vision import scene
from edge_agent.vision.camera import Camera, SignalLost
from edge_agent.vision.frames import Frame
from edge_agent.vision.sources import StreamSource
from event_protocol.events import CameraObserved, CameraState
from event_protocol.names import DeskId

DESK = DeskId("desk-1")


class Watch:
    """A camera, its reader and its pipeline, in a thread of its own."""

    def __init__(self, url: str) -> None:
        """`url`: of its stream."""
        self.ahead = timedelta()  # of the true time
        self.said: list[Statement] = []
        self.frames = 0
        self._pipeline = DeskPipeline("camera", {DESK: scene.ZONES}, uuid4)
        self._camera = Camera(StreamSource(url, self.now), self.now, first_retry_s=0.3)
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self._thread.start()

    def now(self) -> datetime:
        """A time of its own, which the test may set."""
        return datetime.fromtimestamp(time.monotonic(), UTC) + self.ahead

    @property
    def states(self) -> list[CameraState]:
        """Of the camera, as they were told."""
        return [data.state for data in self.cameras]

    @property
    def cameras(self) -> list[CameraObserved]:
        """What was told of the camera, in order."""
        return [s.data for s in self.said if isinstance(s.data, CameraObserved)]

    def stop(self) -> None:
        """What was said stays."""
        self._is_stopping.set()
        self._thread.join()
        self._camera.close()

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            news = self._camera.next(0.2)
            if isinstance(news, Frame):
                self.frames += 1
                said = self._pipeline.observe(news)
                self.said += [s for s in said if isinstance(s, Statement)]
            elif isinstance(news, SignalLost):
                self.said += self._pipeline.camera_lost(news.since, news.at)
