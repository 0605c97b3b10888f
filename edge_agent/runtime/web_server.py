"""The agent's pages in a thread of their own, on a port that is taken before anything starts."""

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


class WebServer:
    """Serves one application until stopped."""

    def __init__(self, app: FastAPI, listening: socket.socket) -> None:
        self._socket = listening
        # No access log: it would say when somebody gave feedback, and from where.
        config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
        self._server = uvicorn.Server(config)
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
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(wait_s)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])
