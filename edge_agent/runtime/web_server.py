"""The agent's pages in a thread of their own, on a port that is taken before anything starts."""

import asyncio
import contextlib
import socket
import threading

import uvicorn
from fastapi import FastAPI


class PortError(Exception):
    """The address can't be listened on; says which setting to change."""


def open_port(host: str, port: int) -> socket.socket:
    """A listening socket; raises `PortError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise PortError(
            f"http.host, http.port: can't listen on {host}:{port}: {error.strerror or error}"
        ) from error


class _Server(uvicorn.Server):
    """uvicorn looks ten times a second whether it is to end: a quarter of what a camera costs."""

    LOOK_EVERY_S = 1.0  # it then also renews the date that answers bear

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told_to_end = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_end.wait(), self.LOOK_EVERY_S)

    def end(self) -> None:
        """From another thread: finish running requests and end."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._told_to_end.set)


class WebServer:
    """Serves one application until stopped."""

    def __init__(self, app: FastAPI, listening: socket.socket) -> None:
        self._socket = listening
        # No access log: it would say when somebody gave feedback, and from where.
        config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    @property
    def url(self) -> str:
        """Where the pages are, as seen from this machine."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Begin to serve; returns at once."""
        self._thread.start()

    def stop(self, wait_s: float = 5) -> None:
        """Finish running requests and end."""
        self._server.end()
        if self._thread.is_alive():
            self._thread.join(wait_s)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])
