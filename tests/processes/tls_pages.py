"""Real pages over TLS on a free loopback port, in a thread of the test."""

import threading
from pathlib import Path
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from central_server.services.authority import Credentials
from central_server.storage.private_files import write_private
from tests.processes.ports import free_port, wait_until


class TlsPages:
    """Serves `app` with those credentials while used as a context."""

    def __init__(self, app: ASGIApp, credentials: Credentials, folder: Path) -> None:
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        key, chain = folder / "pages.key", folder / "pages.crt"
        write_private(key, credentials.key.encode())
        write_private(chain, credentials.chain.encode())
        self._server = uvicorn.Server(
            uvicorn.Config(
                app, port=self.port, log_config=None, ssl_keyfile=key, ssl_certfile=chain
            )
        )
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started, 10, "the pages answer")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
