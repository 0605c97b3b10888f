"""Refuses bodies that are larger than any form here, before they are held in memory."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The longest comment in four-byte letters, percent-encoded, and 22 answers: below 60 KB.
MAX_BODY_BYTES = 65_536
# A browser shows our answer only if it could send its whole form; beyond this nobody is waiting.
READ_AT_MOST_BYTES = 16 * 2**20


class BodyLimit:
    """Plain ASGI: `refuse` makes the answer to a body of more than 64 KiB.

    What is still being sent is read and dropped; whether a length was announced does not matter.
    `larger`: how many bytes may be sent to addresses that begin so.
    """

    def __init__(
        self,
        app: ASGIApp,
        refuse: Callable[[Request], Response],
        larger: Mapping[str, int] | None = None,
    ) -> None:
        self._app, self._refuse, self._larger = app, refuse, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the whole body on, or answers in the application's place."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        body, size, more = bytearray(), 0, True
        while more and size <= READ_AT_MOST_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            part: bytes = message.get("body", b"")
            size += len(part)
            if size <= limit:
                body += part
            more = message.get("more_body", False)
        if size > limit:
            await self._refuse(Request(scope))(scope, receive, send)
        else:
            await self._app(scope, _replay(bytes(body), receive), send)

    def _limit(self, path: str) -> int:
        larger = (size for begin, size in self._larger.items() if path.startswith(begin))
        return max(larger, default=MAX_BODY_BYTES)


def _replay(body: bytes, receive: Receive) -> Receive:
    parts = [body]

    async def receive_again() -> Message:
        if not parts:
            return await receive()
        return {"type": "http.request", "body": parts.pop(), "more_body": False}

    return receive_again
