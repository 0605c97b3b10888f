"""A real HTTP camera on a loopback port that can be made to fail in every way that cameras do.

It sends JPEG pictures one after the other (`multipart/x-mixed-replace`), as cheap cameras do. The
test changes `fault` while it runs.
"""

import itertools
import threading
import time
from collections.abc import Sequence
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from edge_agent.vision.frames import Image

BOUNDARY = "frame"
SHIFT = (48, -24)  # right and down
BLUR = 5.0
BURST = 10  # pictures at once, and then as long nothing


class Fault(Enum):
    """What the camera does instead of sending pictures as they are."""

    NONE = "none"
    STALL = "keeps the connection and says nothing"
    HANG_UP = "ends the connection and takes no other"
    FREEZE = "sends the same picture again and again"
    BLACK = "sends black pictures"
    MOVED = "was turned"
    BLURRED = "is out of focus"
    CORRUPT = "sends bytes that are no picture"
    BURST = "sends its pictures in bursts"
    OTHER_SIZE = "sends smaller pictures of the same shape"
    OTHER_SHAPE = "sends pictures of another shape"


class FaultCamera:
    """Plays `pictures` round and round; use it as a context."""

    def __init__(self, pictures: Sequence[Image], fps: float) -> None:
        self.fault = Fault.NONE
        self._pictures = pictures
        self._fps = fps
        self._is_stopping = threading.Event()
        self._numbers = itertools.count()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera._serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """A test's output needs no access log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/video"
        self._thread = threading.Thread(target=self._server.serve_forever, name="fault-camera")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        if self._hangs_up:
            request.send_error(503)
            return
        request.send_response(200)
        request.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        request.end_headers()
        try:
            while not self._hangs_up and not self._is_stopping.is_set():
                self._send_next(request)
        except OSError:
            pass  # the reader has gone, as readers may

    @property
    def _hangs_up(self) -> bool:
        return self.fault is Fault.HANG_UP

    def _send_next(self, request: BaseHTTPRequestHandler) -> None:
        count = BURST if self.fault is Fault.BURST else 1
        for _ in range(count if self.fault is not Fault.STALL else 0):
            jpeg = self._next_jpeg()
            head = (
                f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            )
            request.wfile.write(head.encode() + jpeg + b"\r\n")
        request.wfile.flush()
        time.sleep(count / self._fps)

    def _next_jpeg(self) -> bytes:
        number = 0 if self.fault is Fault.FREEZE else next(self._numbers) % len(self._pictures)
        image = _spoil(self._pictures[number], self.fault)
        _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        content = jpeg.tobytes()
        if self.fault is Fault.CORRUPT:
            return content[:20] + np.random.default_rng(number).bytes(len(content) // 2)
        return content


def _spoil(image: Image, fault: Fault) -> Image:
    if fault is Fault.BLACK:
        return np.zeros_like(image)
    if fault is Fault.MOVED:
        return np.roll(image, SHIFT, axis=(1, 0))
    if fault is Fault.BLURRED:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR), dtype=np.uint8)
    if fault is Fault.OTHER_SIZE:
        return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5), dtype=np.uint8)
    if fault is Fault.OTHER_SHAPE:
        return np.ascontiguousarray(image[:, : image.shape[1] * 3 // 4])
    return image
