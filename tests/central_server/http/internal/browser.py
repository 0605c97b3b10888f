"""A browser for the internal pages: keeps cookies, follows nothing by itself."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from fastapi import FastAPI

ORIGIN = "http://127.0.0.1:8000"


class Browser:
    """Speaks to the application in this process; `headers` go with every request."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.cookies = httpx.Cookies()
        self.headers: dict[str, str] = {}

    def get(self, path: str, **asked: Any) -> httpx.Response:
        """A page."""
        return self.ask("GET", path, **asked)

    def post(self, path: str, data: Mapping[str, str] | None = None, **sent: Any) -> httpx.Response:
        """A form, or `json=`."""
        return self.ask("POST", path, data=data, **sent)

    def ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """One request; cookies that the answer sets are kept."""
        return asyncio.run(self._ask(method, path, **sent))

    async def _ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url=ORIGIN, cookies=self.cookies
        ) as client:
            headers = {**self.headers, **sent.pop("headers", {})}
            answer = await client.request(method, path, headers=headers, **sent)
            self.cookies = client.cookies
            return answer
