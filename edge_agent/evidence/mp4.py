"""MP4 files in memory, index in front (faststart): nothing unencrypted meets the disk."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
from av.container import OutputContainer

CLOCK = 90_000  # units of a second in which segments tell time, as RTP and MPEG do
CLOCK_UNIT = Fraction(1, CLOCK)


class _SameBytes(io.RawIOBase):
    """A second reader of what is being written: FFmpeg reads the file again to move the index."""

    def __init__(self, written: io.BytesIO) -> None:
        super().__init__()
        self._written = written
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        with self._written.getbuffer() as content:
            end = len(content) if size < 0 else self._at + size
            part = bytes(content[self._at : end])
        self._at += len(part)
        return part

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        if start is None:
            with self._written.getbuffer() as content:
                start = len(content)
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at


@contextmanager
def writing_mp4(target: io.BytesIO) -> Iterator[OutputContainer]:
    """An MP4 that is whole in `target` after the block; raises `av.FFmpegError`."""

    def open_again(_url: str, _flags: int, _options: object) -> _SameBytes:
        return _SameBytes(target)

    with av.open(
        target, "w", format="mp4", options={"movflags": "faststart"}, io_open=open_again
    ) as container:
        yield container
