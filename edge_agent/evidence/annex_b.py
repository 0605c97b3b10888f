"""Gives every H.264 and H.265 picture the form of a byte stream (ITU-T H.264 and H.265, Annex B).

Cameras send start codes and repeat their parameter sets; recordings have lengths instead of start
codes and the parameter sets in the container alone. A segment must be readable by itself. Pure.
"""

from collections.abc import Iterator

from edge_agent.core.packets import Packet, StreamFormat

_START = b"\x00\x00\x00\x01"
_H264_PARAMETERS = frozenset({7, 8})  # SPS, PPS
_H265_PARAMETERS = frozenset({32, 33, 34})  # VPS, SPS, PPS
_HVCC_ARRAYS_AT = 22
_AVCC_SETS_AT = 5


class BitstreamError(ValueError):
    """The bytes are not what their codec prescribes."""


class ByteStream:
    """One opening of a camera: how its packets are framed, and its parameter sets."""

    def __init__(self, stream: StreamFormat) -> None:
        self._codec = stream.codec
        self._is_framed = stream.codec in ("h264", "hevc")
        self._length_bytes: int | None = None
        self._parameters = b""
        if not self._is_framed:
            return
        extra = stream.extradata
        if extra[:1] == b"\x01":  # the version of avcC and hvcC; a start code begins with 0
            try:
                self._read_configuration(extra)
            except IndexError as error:
                raise BitstreamError("the container's parameter sets are cut off") from error
        else:
            self._parameters = extra

    def opening(self, packet: Packet) -> bytes:
        """A key picture that can be decoded with nothing before it; raises `BitstreamError`."""
        picture = self.rewritten(packet)
        if not self._is_framed or self._holds_parameters(picture):
            return picture
        return self._parameters + picture

    def rewritten(self, packet: Packet) -> bytes:
        """The picture with start codes; raises `BitstreamError`."""
        if self._length_bytes is None:
            return packet.data
        return b"".join(_START + unit for unit in _split(packet.data, self._length_bytes))

    def _holds_parameters(self, picture: bytes) -> bool:
        at = picture.find(b"\x00\x00\x01")
        if at < 0 or at + 3 >= len(picture):
            raise BitstreamError("a picture without a start code")
        first = picture[at + 3]
        if self._codec == "h264":
            # A delimiter (9) may stand before them; slices and messages may not.
            return first & 0x1F in _H264_PARAMETERS or (
                first & 0x1F == 9 and self._holds_parameters(picture[at + 3 :])
            )
        kind = first >> 1 & 0x3F
        return kind in _H265_PARAMETERS or (
            kind == 35 and self._holds_parameters(picture[at + 3 :])
        )

    def _read_configuration(self, extra: bytes) -> None:
        """ISO/IEC 14496-15, 5.3.3 (avcC) and 8.3.3 (hvcC)."""
        sets: list[bytes] = []
        if self._codec == "h264":
            self._length_bytes = (extra[4] & 3) + 1
            count, at = extra[_AVCC_SETS_AT] & 0x1F, _AVCC_SETS_AT + 1
            at = _take_sets(extra, at, count, sets)
            _take_sets(extra, at + 1, extra[at], sets)
        else:
            self._length_bytes = (extra[21] & 3) + 1
            at = _HVCC_ARRAYS_AT + 1
            for _ in range(extra[_HVCC_ARRAYS_AT]):
                count = extra[at + 1] << 8 | extra[at + 2]
                at = _take_sets(extra, at + 3, count, sets)
        self._parameters = b"".join(_START + unit for unit in sets)


def _take_sets(extra: bytes, at: int, count: int, sets: list[bytes]) -> int:
    """Add `count` units with 16-bit lengths; returns where the next part begins."""
    for _ in range(count):
        size = extra[at] << 8 | extra[at + 1]
        at += 2
        if at + size > len(extra):
            raise IndexError(at)
        sets.append(extra[at : at + size])
        at += size
    return at


def _split(data: bytes, length_bytes: int) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        begin = at + length_bytes
        size = int.from_bytes(data[at:begin])
        at = begin + size
        if at > len(data):
            raise BitstreamError("a picture is shorter than it says")
        yield data[begin:at]
