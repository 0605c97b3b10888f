"""What the tests' own HTTP servers share: a free port of this machine, and a thread that serves."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class LocalServer(ThreadingHTTPServer):
    """Serves while the block runs."""

    daemon_threads = True

    def __init__(self, answer: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), answer)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"


class Quiet:
    """Beside a request handler: writes nothing to the test's output."""

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""
