"""Real receivers of notifications on loopback: a webhook that can hang or refuse, a mail box."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread
from typing import Any

from tests.processes.local_http import LocalServer, Quiet


class Webhook(LocalServer):
    """Keeps what was posted; `status` is what it answers, `hold` keeps every answer back."""

    def __init__(self) -> None:
        super().__init__(_Hook)
        self.posts: list[dict[str, Any]] = []
        self.status = 200
        self.hold: Event | None = None

    def __exit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.set()
        super().__exit__()

    @property
    def address(self) -> str:
        """As apprise takes it."""
        return f"json://127.0.0.1:{self.server_port}/flags"


class _Hook(Quiet, BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.hold is not None:
            self.server.hold.wait(10)
        if self.server.status == 200:
            self.server.posts.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()


class MailBox:
    """A mail server of a dozen lines: keeps each letter whole."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.port = 0

    @property
    def address(self) -> str:
        """As apprise takes it."""
        return (
            f"mailto://127.0.0.1:{self.port}?mode=insecure&format=text"
            "&from=server@example.org&to=team@example.org"
        )

    @contextmanager
    def running(self) -> Iterator["MailBox"]:
        """Listens until the end of the block."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        thread = Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.close()
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5)
            loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        while line := await reader.readline():
            command = line[:4].upper()
            if command == b"DATA":
                writer.write(b"354 go on\r\n")
                letter = await reader.readuntil(b"\r\n.\r\n")
                self.letters.append(letter.decode())
            writer.write(b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n")
            if command == b"QUIT":
                break
        writer.close()
