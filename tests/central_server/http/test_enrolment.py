"""The route by which a device trades its code."""

import asyncio
from pathlib import Path

import httpx
from fastapi import FastAPI

from central_server.http import enrolment as route
from central_server.http import error_pages
from central_server.services import enrolment
from central_server.storage.unit_of_work import Database
from event_protocol.enrolment import ENROLMENT_PATH, Enrolment, EnrolmentRequest
from tests.central_server.factories import make_context, register_device


def test_a_code_is_traded_once(database: Database, tmp_path: Path) -> None:
    register_device(database)
    context = make_context(database, tmp_path)
    app = FastAPI()
    app.state.context = context
    error_pages.install(app)
    app.include_router(route.router)
    code = enrolment.make_code(context, "device-a")
    body = EnrolmentRequest(code=code, public_key="cd" * 32, agent_version="1").model_dump()

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.post(ENROLMENT_PATH, json=body)

    first, second = asyncio.run(post()), asyncio.run(post())
    assert first.status_code == 201, first.text
    assert Enrolment.model_validate_json(first.content).device == "device-a"
    assert first.headers["cache-control"] == "no-store"
    assert second.status_code == 422
    assert second.json()["code"] == "error.enrolment_refused"
