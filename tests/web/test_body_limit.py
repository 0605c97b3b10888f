"""What is larger than any form is answered, not held: driven as a server drives an application."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from web.body_limit import MAX_BODY_BYTES, READ_AT_MOST_BYTES, BodyLimit


class Exchange:
    """One request whose body comes in `parts`; `hangs_up`: the browser leaves after them."""

    def __init__(self, *parts: bytes, hangs_up: bool = False) -> None:
        self.taken = 0  # parts that were read
        self.sent: list[Message] = []
        self.body: bytes | None = None  # what the application was handed
        self._parts, self._hangs_up = parts, hangs_up

    def run(self, method: str = "POST") -> "Exchange":
        scope: Scope = {"type": "http", "method": method, "path": "/", "headers": []}
        app = BodyLimit(self._application, refuse=lambda _: PlainTextResponse("large", 413))
        asyncio.run(app(scope, self._receive, self._send))
        return self

    @property
    def status(self) -> int | None:
        return self.sent[0]["status"] if self.sent else None

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.body = await Request(scope, receive).body()
        self.after_body = await receive()
        await PlainTextResponse("small")(scope, receive, send)

    async def _receive(self) -> Message:
        if self.taken == len(self._parts):
            return {"type": "http.disconnect"}
        part, self.taken = self._parts[self.taken], self.taken + 1
        more = self.taken < len(self._parts) or self._hangs_up
        return {"type": "http.request", "body": part, "more_body": more}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


@pytest.mark.parametrize(
    "parts", [(b"",), (b"x" * MAX_BODY_BYTES,), (b"x" * 4, b"", b"x" * (MAX_BODY_BYTES - 4))]
)
def test_a_body_up_to_the_limit_is_handed_on_whole(parts: tuple[bytes, ...]) -> None:
    exchange = Exchange(*parts).run()
    assert (exchange.status, exchange.body) == (200, b"".join(parts))
    assert exchange.after_body["type"] == "http.disconnect", "a stream hears that nobody listens"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
def test_a_larger_one_is_read_to_its_end_and_refused(method: str) -> None:
    exchange = Exchange(b"x" * MAX_BODY_BYTES, b"x", b"x" * 1000).run(method)
    assert (exchange.status, exchange.body) == (413, None)
    assert exchange.taken == 3, "a browser shows the answer only if it could send all"


def test_one_without_end_is_refused_before_its_end() -> None:
    exchange = Exchange(*[b"x" * 2**20] * 64).run()
    assert exchange.status == 413
    assert exchange.taken == READ_AT_MOST_BYTES // 2**20 + 1


def test_who_leaves_in_the_middle_gets_no_answer() -> None:
    exchange = Exchange(b"x", hangs_up=True).run()
    assert (exchange.status, exchange.body) == (None, None)


def test_what_is_no_request_passes() -> None:
    seen: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        raise AssertionError("nobody asks")

    async def send(_: Message) -> None:
        raise AssertionError("nobody answers")

    limit = BodyLimit(application, refuse=lambda _: PlainTextResponse(""))
    asyncio.run(limit({"type": "lifespan"}, nothing, send))
    assert seen == ["lifespan"]
