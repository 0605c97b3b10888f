"""The server's side of pairing: one real HTTP server that gives every code the same answer."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Self

from tests.processes.edge_agent import make_enrolment


class PairingServer(HTTPServer):
    """Answers every pairing with `status` and `answer`; keeps what it was asked."""

    def __init__(self, broker_port: int = 1883) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 201
        self.answer = make_enrolment(broker_port).model_dump_json()
        self.asked: list[tuple[str, dict[str, str]]] = []

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
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: PairingServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.answer.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""
