"""A network cable in bad hands: passes TCP on to a loopback port as well or badly as it is told."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

CHUNK = 65_536
# Closing then says RST instead of FIN, as a router does that has lost its table.
_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True, eq=False)
class _Link:
    """One connection: the end that came to us, and the one that we made."""

    near: socket.socket
    far: socket.socket
    target: int
    is_half_open: threading.Event = field(default_factory=threading.Event)


class Cable:
    """Listens on `port` and forwards to the first of `targets` that answers; several threads, ended
    with the context.

    `delay_s`: how long each piece of what is sent takes; `piece` bytes at most. `damage`: what
    becomes of each piece on its way.
    """

    def __init__(self, *targets: int) -> None:
        self._targets = list(targets)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.delay_s, self.piece = 0.0, CHUNK
        self.damage: Callable[[bytes], bytes] = lambda piece: piece
        self._is_cut, self._is_passing = threading.Event(), threading.Event()
        self._is_passing.set()
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def prefer(self, target: int) -> None:
        """New connections go there, while it answers."""
        self._targets.sort(key=lambda one: one != target)

    def targets_in_use(self) -> set[int]:
        """Where connections lead just now."""
        return {link.target for link in self._taken()}

    def cut(self) -> None:
        """Break all connections; new ones are broken at once."""
        self._is_cut.set()
        self._drop_all()

    def mend(self) -> None:
        """Let new connections through again, at full speed."""
        self.delay_s, self.piece = 0.0, CHUNK
        self._is_cut.clear()

    def hold(self) -> None:
        """Keep all connections, and all that is sent until `let_go`, then pass it on at once."""
        self._is_passing.clear()

    def let_go(self) -> None:
        """Pass on what was held."""
        self._is_passing.set()

    def reset(self) -> None:
        """Break all connections by RST; what was under way is lost. New ones pass."""
        for link in self._taken():
            for end in (link.near, link.far):
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._drop(link)

    def half_open(self) -> None:
        """The far ends learn that the connections broke, the near ones do not. New ones pass."""
        for link in self._taken():
            link.is_half_open.set()
            _close(link.far)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_cut.set()
        self._is_passing.set()
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
            reached = self._reach()
            if reached is None:
                near.close()
                continue
            link = _Link(near, *reached)
            with self._lock:
                self._links.append(link)
            for source, sink in ((near, link.far), (link.far, near)):
                threading.Thread(target=self._pump, args=(link, source, sink), daemon=True).start()

    def _reach(self) -> tuple[socket.socket, int] | None:
        for target in self._targets:
            with contextlib.suppress(OSError):
                far = socket.create_connection(("127.0.0.1", target), timeout=5)
                far.settimeout(None)
                return far, target
        return None

    def _pump(self, link: _Link, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(self.piece):
                if self.delay_s:
                    time.sleep(self.delay_s)
                self._is_passing.wait()
                if not link.is_half_open.is_set():
                    sink.sendall(self.damage(chunk))
        # The near end of a half-open connection stays until it gives up by itself.
        if source is link.near or not link.is_half_open.is_set():
            self._drop(link)

    def _taken(self) -> list[_Link]:
        with self._lock:
            return list(self._links)

    def _drop_all(self) -> None:
        for link in self._taken():
            self._drop(link)

    def _drop(self, link: _Link) -> None:
        with self._lock:
            if link not in self._links:
                return
            self._links.remove(link)
        _close(link.near)
        _close(link.far)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
