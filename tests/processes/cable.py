"""A network cable that can be cut: passes TCP on to a loopback port until it is told not to."""

import contextlib
import socket
import threading
from typing import Self

CHUNK = 65_536


class Cable:
    """Listens on `port` and forwards to `target`; several threads, ended with the context."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._is_cut = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def cut(self) -> None:
        """Break all connections; new ones are broken at once."""
        self._is_cut.set()
        self._drop_all()

    def mend(self) -> None:
        """Let new connections through again."""
        self._is_cut.clear()

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_cut.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_all()
        self._acceptor.join(5)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            if self._is_cut.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._sockets |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                sink.sendall(chunk)
        self._drop(source, sink)

    def _drop_all(self) -> None:
        with self._lock:
            open_now = tuple(self._sockets)
        self._drop(*open_now)

    def _drop(self, *ends: socket.socket) -> None:
        for end in ends:
            with self._lock:
                self._sockets.discard(end)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
