"""Films coded as a camera codes them, for what has to be shown and is in no recording."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
import numpy as np

from edge_agent.vision.frames import Image

_ENCODERS = {"h264": "libx264", "hevc": "libx265"}
_AT_ONCE = {"preset": "ultrafast", "tune": "zerolatency"}


def make_film(
    path: Path, images: Iterable[Image], fps: int, key_every: int, codec: str = "h264"
) -> Path:
    """In a container by the path's ending, with a key frame every so many pictures.

    In a `.ts` the size may change between pictures, as of a camera that is set otherwise.
    """
    unit = Fraction(1, fps)
    with av.open(str(path), "w") as container:
        track: av.VideoStream | None = None
        for number, (size, packet) in enumerate(_encode(images, unit, key_every, codec)):
            if track is None:
                added = container.add_mux_stream(codec, rate=fps, width=size[1], height=size[0])
                assert isinstance(added, av.VideoStream)
                track = added
            packet.stream = track
            packet.time_base, packet.duration = unit, 1
            packet.pts = packet.dts = number
            container.mux(packet)
    return path


def _encode(
    images: Iterable[Image], unit: Fraction, key_every: int, codec: str
) -> Iterator[tuple[tuple[int, int], "av.Packet[av.VideoStream]"]]:
    """Each picture's packet as soon as it is coded; a new encoder for each new size."""
    often = f"keyint={key_every}:min-keyint={key_every}:scenecut=0"
    options = {
        "h264": {"g": str(key_every), "sc_threshold": "0"},
        "hevc": {"x265-params": f"log-level=none:{often}"},
    }
    for size, group in groupby(images, lambda image: (image.shape[0], image.shape[1])):
        encoder = av.CodecContext.create(_ENCODERS[codec], "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.height, encoder.width = size
        encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", unit, 1 / unit
        encoder.options = _AT_ONCE | options[codec]
        for number, image in enumerate(group):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts = number
            yield from ((size, packet) for packet in encoder.encode(frame))
        yield from ((size, packet) for packet in encoder.encode(None))
