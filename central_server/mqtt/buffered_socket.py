"""Few system calls for many small packets: paho asks the socket three or four times a message.

Each call hands the interpreter's lock to another thread, which may keep it for five milliseconds.
"""

import ssl
from typing import Protocol

READ_AHEAD_BYTES = 65_536


_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Socket(Protocol):
    """What paho asks of a socket."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, content: bytes | bytearray, /) -> int: ...
    def close(self) -> None: ...
    def fileno(self) -> int: ...
    def setblocking(self, flag: bool, /) -> None: ...


class BufferedSocket:
    """A non-blocking socket as paho uses it; reads ahead, and sends together what `hold` keeps.

    After `hold` nothing is sent until `flush`; what the network does not take then stays `unsent`,
    and sending more raises `BlockingIOError` as a full socket does.
    """

    def __init__(self, link: Socket) -> None:
        self._link = link
        self._read, self._at = b"", 0
        self._out = bytearray()
        self._holds = False
        self._broken: OSError | None = None

    @property
    def unsent(self) -> int:
        """Bytes that the network has not taken yet."""
        return len(self._out)

    def recv(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end of the connection."""
        self._raise_if_broken()
        if self._at == len(self._read):
            self._read, self._at = self._link.recv(READ_AHEAD_BYTES), 0
        some = self._read[self._at : self._at + size]
        self._at += len(some)
        return some

    def send(self, content: bytes | bytearray) -> int:
        """How many of these bytes were taken."""
        if self._holds:
            self._out += content
            return len(content)
        self.flush()
        self._raise_if_broken()
        if self._out:
            raise BlockingIOError
        return self._link.send(content)

    def hold(self) -> None:
        """Keeps what is sent from now on, until `flush`."""
        self._holds = True

    def flush(self) -> None:
        """Sends what was kept, as far as the network takes it; the next call tells if it broke."""
        self._holds = False
        try:
            while self._out:
                del self._out[: self._link.send(self._out)]
        except _NOT_NOW:
            pass
        except OSError as error:
            self._out.clear()
            self._broken = error

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    def close(self) -> None:
        """Sends what it can, and ends the connection."""
        self.flush()
        self._link.close()

    def fileno(self) -> int:
        """The number that the system knows it by."""
        return self._link.fileno()

    def setblocking(self, flag: bool) -> None:
        """Whether calls wait."""
        self._link.setblocking(flag)

    def pending(self) -> int:
        """Bytes that can be read at once though the network shows none: read ahead, or by TLS."""
        read_ahead = len(self._read) - self._at
        return read_ahead + (self._link.pending() if isinstance(self._link, ssl.SSLSocket) else 0)
