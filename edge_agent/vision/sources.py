"""What a camera setting means: a stream's address, a USB device, a recording or a drawn scene."""

import math
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from edge_agent.core.packets import PacketSink
from edge_agent.vision.arrivals import Arrivals
from edge_agent.vision.frames import Demand, Frame, FrameSource, SourceError
from edge_agent.vision.look_back import LookBack
from edge_agent.vision.packet_tap import PacketTap
from edge_agent.vision.scene import SceneCamera
from edge_agent.vision.stage_times import StageTimes
from edge_agent.vision.stream_decoder import StreamDecoder, find_video
from edge_agent.vision.video_file import VideoFile

STREAM_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")
# Presence needs one or two a second, a card held up for a second five.
MAX_FPS = {Demand.CHANGES: 1.0, Demand.KEY_FRAMES: 1.0, Demand.ALL_FRAMES: 10.0}
# Over TCP, whole pictures or none. FFmpeg would look at a stream for 3 s before the first picture,
# and those that came meanwhile would all bear the time at which it has finished.
RTSP_OPTIONS = {"rtsp_transport": "tcp", "analyzeduration": "100000"}
# FFmpeg takes 25 pictures a second for granted, of which these formats say nothing.
TIMELESS_FORMATS = {"mpjpeg"}
NETWORK_TIMEOUT_S = (10.0, 5.0)  # opening, reading; the camera's own watchdog stands behind it


def open_source(
    setting: str,
    now: Callable[[], datetime],
    times: StageTimes | None = None,
    sink: PacketSink | None = None,
) -> FrameSource:
    """The source of a setting; opened only when read. Raises `SourceError` if it means nothing.

    `rtsp://…`, `http://…`, `usb:0` or `0`, `scene:SEED`, or the path of a recording, which is
    played at its own speed. `sink` takes its packets.
    """
    if setting.lower().startswith(STREAM_SCHEMES):
        return StreamSource(setting, now, times, sink)
    if match := re.fullmatch(r"(?:usb:)?(\d+)", setting):
        return UsbCamera(int(match[1]), now, times, sink)
    if match := re.fullmatch(r"scene:(\d+)", setting):
        return SceneCamera(int(match[1]), now, sink)
    if re.match(r"[a-z0-9+.-]+:", setting):
        raise SourceError(f"{setting}: neither a stream, usb:N, scene:SEED nor a file")
    return VideoFile(Path(setting), now(), paced=True, times=times, sink=sink)


class _Pace:
    """Picks at most `MAX_FPS` of the pictures that come, by the clock that nobody sets."""

    def __init__(self) -> None:
        self._last_at = -math.inf

    def wants_one(self, demand: Demand = Demand.ALL_FRAMES) -> bool:
        now = time.monotonic()
        if now - self._last_at < 0.9 / MAX_FPS[demand]:  # 0.9: pictures do not come evenly
            return False
        self._last_at = now
        return True


class StreamSource:
    """An IP camera, by RTSP or HTTP: read once, its packets for the sink, its frames for vision."""

    is_recording = False
    keeps_all = False

    def __init__(
        self,
        url: str,
        now: Callable[[], datetime],
        times: StageTimes | None = None,
        sink: PacketSink | None = None,
    ) -> None:
        self._is_all_wanted = threading.Event()
        self.demand = Demand.ALL_FRAMES
        self._url = url
        self._now = now
        self._times = times or StageTimes()
        self._tap = PacketTap(sink)

    @property
    def demand(self) -> Demand:
        """Set by the consumer's thread; that more is wanted ends the reader's nap."""
        return self._demand

    @demand.setter
    def demand(self, demand: Demand) -> None:
        self._demand = demand
        if demand is Demand.ALL_FRAMES:
            self._is_all_wanted.set()
        else:
            self._is_all_wanted.clear()

    def frames(self) -> Iterator[Frame]:
        """At most `MAX_FPS` of the stream's pictures, each with the time at which it came."""
        with ExitStack() as opened:
            container, stream = opened.enter_context(self._open())
            tells_time = container.format.name not in TIMELESS_FORMATS
            take = opened.enter_context(self._tap.open(stream, tells_time=tells_time))
            decoder = StreamDecoder(stream, self._times)
            look_back = LookBack(decoder)
            # Pictures that stand alone need not be decoded only to be passed over.
            is_all_keys, pace = stream.codec_context.codec.intra_only, _Pace()
            tick_s = float(stream.time_base or 0) if tells_time else None
            packets = container.demux(stream)
            for packet, at in Arrivals(
                packets, tick_s, self._now, decoder.spare_s, self._is_all_wanted.wait
            ):
                take(packet, at)
                if is_all_keys and not pace.wants_one():
                    continue
                for picture in decoder.decode(packet, at, self.demand):
                    if is_all_keys or pace.wants_one():
                        yield look_back.complete(Frame(picture, at))

    @contextmanager
    def _open(self) -> Iterator[tuple[InputContainer, VideoStream]]:
        """The stream; whatever fails while it is read is a `SourceError` without a password."""
        name = without_password(self._url)
        options = RTSP_OPTIONS if self._url.lower().startswith("rtsp") else {}
        try:
            # Names in other encodings than UTF-8 are none of our business.
            with av.open(
                self._url, options=options, timeout=NETWORK_TIMEOUT_S, metadata_errors="ignore"
            ) as container:
                stream = find_video(container)
                if stream is None:
                    raise SourceError(f"{name}: holds no video")
                yield container, stream
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise SourceError(f"{name}: {reason}") from None


class UsbCamera:
    """A camera at this machine, by its number, or whatever else OpenCV opens by a path.

    OpenCV gives up by itself on a device that sends nothing for 10 s.
    """

    is_recording = False
    keeps_all = False

    def __init__(
        self,
        device: int | str,
        now: Callable[[], datetime],
        times: StageTimes | None = None,
        sink: PacketSink | None = None,
    ) -> None:
        self.demand = Demand.ALL_FRAMES
        self._device = device
        self._now = now
        self._times = times or StageTimes()
        self._tap = PacketTap(sink)

    def frames(self) -> Iterator[Frame]:
        """At most `MAX_FPS` pictures a second, until the device fails; only these are decoded."""
        return self._tap.record(self._grab())

    def _grab(self) -> Generator[Frame]:
        name, pace = f"usb:{self._device}", _Pace()
        device = cv2.VideoCapture(self._device)
        try:
            if not device.isOpened():
                raise SourceError(f"{name}: no such camera, or another program has it")
            while device.grab():
                at = self._now()
                if not pace.wants_one(self.demand):
                    continue
                with self._times.measure("decode"):
                    is_decoded, image = device.retrieve()
                if is_decoded:
                    yield Frame(np.asarray(image, dtype=np.uint8), at)
            raise SourceError(f"{name}: the camera was unplugged or failed")
        finally:
            device.release()


def without_password(url: str) -> str:
    """The address as it may be logged."""
    return re.sub(r"//[^/@]*@", "//…@", url)
