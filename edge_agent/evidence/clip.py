"""From segments to what may be shown: decoded from a key frame on, retouched, encoded anew."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edge_agent.evidence.mp4 import writing_mp4
from event_protocol.evidence import Span

Picture = npt.NDArray[np.uint8]
"""Height × width × 3, blue-green-red."""

_MAX_FPS = 15  # people move no faster, and a small box has hours of a working day only
_MAX_WIDTH = 1280
_MILLISECOND = timedelta(milliseconds=1)
_PAUSE = timedelta(seconds=1)
_LEAST_STEP = timedelta(seconds=0.9 / _MAX_FPS)  # pictures do not come evenly
_QUALITY = 24  # x264's constant rate factor: text on a form is still read
_MAX_BITS_PER_S = 4_000_000
_SHARE_OF_LIMIT = 0.85  # the rate control overshoots a little, and the index needs room
_SHORTEST_S = 5.0  # for the rate of a clip that is shorter still
# The first is better; wheels for some machines come without it.
_ENCODERS = ("libx264", "libopenh264")
_JPEG_QUALITY = "2"  # of 1 (best) to 31


class ClipError(Exception):
    """There is nothing to show, or it can't be encoded."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A decrypted segment: an MP4 whose first picture was taken at `begin`."""

    mp4: bytes
    begin: datetime
    end: datetime


TimedPicture = tuple[Picture, datetime]
"""A decoded picture and when it was taken."""


class Retoucher(Protocol):
    """Makes the pictures of one clip fit to be shown."""

    def hide(self, pictures: Iterable[TimedPicture]) -> Iterator[TimedPicture]:
        """Each without what nobody may see, in their order; may look some pictures ahead."""
        ...

    def draw_pause(self, width: int, height: int, begin: datetime, end: datetime) -> Picture:
        """What is shown where there are no pictures."""
        ...


def make_clip(pieces: Iterable[Piece], span: Span, retoucher: Retoucher, max_bytes: int) -> bytes:
    """An H.264 MP4 that plays while it loads; raises `ClipError`.

    Its time is the clock's: a pause in the recording is as long in the clip, and says so. The rate
    is bounded so that the clip fits into `max_bytes`, at the price of sharpness.
    """
    target = io.BytesIO()
    footage = _Footage(pieces, span)
    try:
        with writing_mp4(target) as container:
            writer: _ClipWriter | None = None
            for image, at in retoucher.hide(footage.pictures()):
                if writer is None:
                    writer = _ClipWriter(container, image, at, _bits_per_s(span, max_bytes))
                if (since := footage.pauses.pop(at, None)) is not None:
                    writer.add(retoucher.draw_pause(writer.width, writer.height, since, at), since)
                writer.add(image, at)
            if writer is None:
                raise ClipError("no picture of the span can be decoded")
            writer.finish()
    except av.FFmpegError as error:
        raise ClipError(f"{type(error).__name__}: {error}") from error
    return target.getvalue()


def make_snapshot(pieces: Iterable[Piece], span: Span, retoucher: Retoucher) -> bytes:
    """The first picture of the span as JPEG; raises `ClipError`."""
    for image, at in retoucher.hide(_Footage(pieces, span).pictures()):
        if at >= span.begin:
            return _to_jpeg(image)
    raise ClipError("no picture of the span can be decoded")


class _Footage:
    """The pictures of a span, no more of them than a clip shows, and the pauses between them."""

    def __init__(self, pieces: Iterable[Piece], span: Span) -> None:
        self._pieces = pieces
        self._span = span
        self.pauses: dict[datetime, datetime] = {}
        """Since when there were no pictures, by the time of the first that comes again."""

    def pictures(self) -> Iterator[TimedPicture]:
        """In order, as they are decoded."""
        last: datetime | None = None
        covered_until: datetime | None = None
        for piece in self._pieces:
            for image, at in _decode(piece, self._span):
                if last is not None and at - last < _LEAST_STEP:
                    continue
                if covered_until is not None and at - covered_until > _PAUSE:
                    self.pauses[at] = covered_until
                last, covered_until = at, None
                yield image, at
            if last is not None:
                covered_until = min(piece.end, self._span.end)


def _decode(piece: Piece, span: Span) -> Iterator[TimedPicture]:
    """Pictures from the last key frame at or before the span's begin to its end."""
    try:
        with av.open(io.BytesIO(piece.mp4), "r", metadata_errors="ignore") as container:
            if not container.streams.video:
                return
            track = container.streams.video[0]
            wanted_s = (span.begin - piece.begin).total_seconds()
            first_s = _key_frame_at_or_before(container, track, wanted_s)
            container.seek(0)
            for packet in container.demux(track):
                if packet.pts is not None and packet.pts * packet.time_base < first_s:
                    continue
                for frame in _frames_of(packet):
                    at = piece.begin + timedelta(seconds=frame.time or 0.0)
                    if at > span.end:
                        return
                    yield _to_image(frame), at
    except av.FFmpegError:
        return  # what could be read was given


def _key_frame_at_or_before(
    container: InputContainer, track: VideoStream, wanted_s: float
) -> float:
    first_s = 0.0
    for packet in container.demux(track):
        if packet.is_keyframe and packet.pts is not None:
            at_s = float(packet.pts * packet.time_base)
            if at_s <= wanted_s:
                first_s = max(first_s, at_s)
    return first_s


def _frames_of(packet: "av.Packet[VideoStream]") -> list[VideoFrame]:
    try:
        return packet.decode()
    except av.error.InvalidDataError:
        return []  # one damaged picture; others follow


def _to_image(frame: VideoFrame) -> Picture:
    width = max(2, min(frame.width, _MAX_WIDTH) // 2 * 2)
    height = max(2, round(frame.height * width / frame.width) // 2 * 2)
    smaller = frame.reformat(width=width, height=height, format="bgr24")
    return np.asarray(smaller.to_ndarray(), dtype=np.uint8)


def _bits_per_s(span: Span, max_bytes: int) -> int:
    lasts_s = max((span.end - span.begin).total_seconds(), _SHORTEST_S)
    return min(_MAX_BITS_PER_S, int(_SHARE_OF_LIMIT * 8 * max_bytes / lasts_s))


class _ClipWriter:
    """One encoder; its size is the first picture's, to which later ones are brought."""

    def __init__(
        self, container: OutputContainer, first: Picture, begin: datetime, bits_per_s: int
    ) -> None:
        self._container = container
        self._begin = begin
        self._last = begin - _PAUSE
        self.height, self.width = first.shape[:2]
        self._track = self._open(bits_per_s)

    def _open(self, bits_per_s: int) -> VideoStream:
        name = next(name for name in _ENCODERS if name in av.codecs_available)
        track = self._container.add_stream(name, rate=_MAX_FPS)
        assert isinstance(track, VideoStream)  # noqa: S101 - by its codec
        track.width, track.height, track.pix_fmt = self.width, self.height, "yuv420p"
        context = track.codec_context
        context.time_base = Fraction(1, 1000)
        context.thread_count = 1  # the cameras go first; and one thread gives the same bytes again
        if name == "libx264":
            track.options = {
                "preset": "veryfast",
                "crf": str(_QUALITY),
                "maxrate": str(bits_per_s),
                "bufsize": str(bits_per_s),
                # Its macroblock tree gave other bytes for the same pictures in 14 of 24 runs;
                # an upload that broke goes on only with the same bytes.
                "x264-params": "mbtree=0",
            }
        else:
            context.bit_rate = bits_per_s
        return track

    def add(self, image: Picture, at: datetime) -> None:
        """The next picture, at that time or just after the one before it."""
        self._last = max(at, self._last + _MILLISECOND)
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame = frame.reformat(width=self.width, height=self.height, format="yuv420p")
        frame.pts = (self._last - self._begin) // _MILLISECOND
        frame.time_base = Fraction(1, 1000)
        self._container.mux(self._track.encode(frame))

    def finish(self) -> None:
        """All pictures were given."""
        self._container.mux(self._track.encode())


def _to_jpeg(image: Picture) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)  # noqa: S101 - by its codec
    height, width = image.shape[:2]
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.qmin = encoder.qmax = int(_JPEG_QUALITY)
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
    packets = encoder.encode(frame.reformat(format="yuvj420p"))
    return b"".join(bytes(packet) for packet in (*packets, *encoder.encode(None)))
