"""What watches us, and from where it may."""

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from central_server.http.app import make_internal_app
from central_server.services.context import ServerContext

PATHS = ("/metrics", "/readyz")


def ask(app: FastAPI, path: str, client: str, headers: dict[str, str] | None = None) -> int:
    """The status for somebody at that address."""

    async def get() -> int:
        transport = httpx.ASGITransport(app, client=(client, 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="https://watch") as http:
            return (await http.get(path, headers=headers)).status_code

    return asyncio.run(get())


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_this_machine_alone_is_answered(app: FastAPI, path: str) -> None:
    assert ask(app, path, "127.0.0.1") == ask(app, path, "::1") == 200
    assert ask(app, path, "192.0.2.7") == 404
    for passed_on in ("X-Forwarded-For", "Forwarded", "Via"):
        assert ask(app, path, "127.0.0.1", {passed_on: "192.0.2.7"}) == 404, passed_on
    assert ask(app, path, "192.0.2.7", {"Authorization": "Bearer "}) == 404
    assert ask(app, "/healthz", "192.0.2.7") == 200, "tells that we are there, and no more"


@pytest.mark.parametrize("path", PATHS)
def test_a_token_opens_them_from_anywhere(
    context: ServerContext, tmp_path: Path, path: str
) -> None:
    file = tmp_path / "token"
    file.write_text("a-long-token\n")
    web = context.settings.web.model_copy(update={"monitoring_token_file": file})
    app = make_internal_app(
        replace(context, settings=context.settings.model_copy(update={"web": web}))
    )

    def with_token(token: str) -> int:
        return ask(app, path, "192.0.2.7", {"Authorization": f"Bearer {token}"})

    assert with_token("a-long-token") == 200
    assert with_token("another") == 404
    file.write_text("another\n")
    assert with_token("another") == 200, "changed without a restart"
    assert with_token("a-long-token") == 404
