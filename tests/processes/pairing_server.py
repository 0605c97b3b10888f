"""The server's side of pairing: one real HTTP server that gives every code the same answer."""

import json
from http.server import BaseHTTPRequestHandler

from tests.processes.edge_agent import make_enrolment
from tests.processes.local_http import LocalServer, Quiet


class PairingServer(LocalServer):
    """Answers every pairing with `status` and `answer`; keeps what it was asked."""

    def __init__(self, broker_port: int = 1883) -> None:
        super().__init__(_Answer)
        self.status = 201
        self.answer = make_enrolment(broker_port).model_dump_json()
        self.asked: list[tuple[str, dict[str, str]]] = []


class _Answer(Quiet, BaseHTTPRequestHandler):
    server: PairingServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.answer.encode())
