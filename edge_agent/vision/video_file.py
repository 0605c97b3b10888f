"""A recording as a source of frames, with the recording's own clock."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_agent.core.packets import PacketSink
from edge_agent.vision.frames import Demand, Frame, SourceError
from edge_agent.vision.look_back import LookBack
from edge_agent.vision.packet_tap import PacketTap
from edge_agent.vision.stage_times import StageTimes
from edge_agent.vision.stream_decoder import StreamDecoder, VideoPacket, find_video

# The container says how long it lasts; a last frame so much earlier means that the end is missing.
MISSING_END_S = 1.0
LONGEST_S = 30 * 24 * 3600.0  # a later time is damage


class DamagedFileError(SourceError):
    """All that can be read was given, but the file should last longer."""


class VideoFile:
    """Frames of a file: as fast as they are taken, or paced as they were recorded.

    Holds no more of them than are asked for by `demand`; at first all.
    """

    is_recording = True

    def __init__(
        self,
        path: Path,
        start: datetime,
        *,
        paced: bool = False,
        times: StageTimes | None = None,
        sink: PacketSink | None = None,
    ) -> None:
        self._path = path
        self._start = start
        self._paced = paced
        self._times = times or StageTimes()
        self._tap = PacketTap(sink)
        self.keeps_all = not paced
        self.demand = Demand.ALL_FRAMES
        self.duration_s: float | None = None
        self._read_until_s = 0.0

    def frames(self) -> Iterator[Frame]:
        """Every frame in order; the first one's `captured_at` is `start`.

        Raises `SourceError` before the first, or `DamagedFileError` after the last readable one.
        """
        container, stream = self._open()
        first_s: float | None = None
        last_s = shown_until_s = -1.0
        with container:
            decoder = StreamDecoder(stream, self._times)
            look_back = LookBack(decoder)
            for picture in self._decode(container, stream, decoder):
                if picture.time is None:
                    continue  # can't be placed
                first_s = picture.time if first_s is None else first_s
                at_s = picture.time - first_s
                if not last_s < at_s <= LONGEST_S:
                    continue  # nor can one before its predecessor, or in another age
                last_s, shown_until_s = at_s, at_s + _duration_s(picture)
                yield look_back.complete(Frame(picture, self._start + timedelta(seconds=at_s)))
        if first_s is None:
            raise SourceError(f"{self._path}: holds no picture that can be decoded")
        if self.demand is not Demand.ALL_FRAMES:  # the last of them may well be long before the end
            shown_until_s = max(shown_until_s, self._read_until_s)
        if self.duration_s is not None and shown_until_s < self.duration_s - MISSING_END_S:
            raise DamagedFileError(
                f"{self._path}: the file is truncated or damaged: it should last "
                f"{self.duration_s:.1f} s, its last readable picture is at {last_s:.1f} s"
            )

    def _open(self) -> tuple[InputContainer, VideoStream]:
        if not self._path.exists():
            raise SourceError(f"{self._path}: no such file")
        if not self._path.is_file():
            raise SourceError(f"{self._path}: not a file")
        if self._path.stat().st_size == 0:
            raise SourceError(f"{self._path}: the file is empty (0 bytes)")
        try:
            # Names in other encodings than UTF-8 are none of our business.
            container = av.open(str(self._path), metadata_errors="ignore")
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(
                f"{self._path}: not a video, or cut off before its index ({reason})"
            ) from None
        stream = find_video(container)
        if stream is None:
            container.close()
            raise SourceError(f"{self._path}: holds no video")
        if stream.duration is not None and stream.time_base is not None:
            self.duration_s = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            self.duration_s = container.duration / av.time_base
        return container, stream

    def _decode(
        self, container: InputContainer, stream: VideoStream, decoder: StreamDecoder
    ) -> Iterator[VideoFrame]:
        """The pictures asked for; a damaged packet is stepped over."""
        arrived = self._start
        with self._tap.open(stream) as take:
            for packet, at in self._read(container.demux(stream)):
                # Pictures that lean on a later one come after it: as from a camera, later still.
                arrived = max(arrived, at)
                take(packet, arrived)
                yield from decoder.decode(packet, at, self.demand)
        yield from decoder.flush()

    def _read(self, packets: Iterator[VideoPacket]) -> Iterator[tuple[VideoPacket, datetime]]:
        """The packets, and when each is shown; a damaged container ends them."""
        began, first_s, at_s = time.monotonic(), None, 0.0
        while True:
            try:
                packet = next(packets, None)
            except av.error.InvalidDataError:
                continue
            except (av.FFmpegError, OSError):
                return
            if packet is None or not packet.size:  # the last one is empty
                return
            if packet.pts is not None:
                pts_s = float(packet.pts * packet.time_base)
                first_s = pts_s if first_s is None else first_s
                if 0 <= pts_s - first_s <= LONGEST_S:
                    at_s = pts_s - first_s
            self._read_until_s = at_s
            if self._paced:
                time.sleep(max(0.0, began + at_s - time.monotonic()))
            yield packet, self._start + timedelta(seconds=at_s)


def _duration_s(picture: VideoFrame) -> float:
    """How long the picture is shown, as far as the file says."""
    if picture.duration is None or picture.time_base is None:
        return 0.0
    return float(picture.duration * picture.time_base)
