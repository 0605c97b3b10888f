"""By these routes a device trades its code, learns whom to trust, renews its certificate."""

import asyncio
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from central_server.http import enrolment as route
from central_server.http import error_pages
from central_server.services import enrolment
from central_server.services.authority import make_authority
from central_server.services.context import ServerContext
from central_server.storage.unit_of_work import Database
from event_protocol.certificates import (
    AUTHORITY_PATH,
    CERTIFICATES_PATH,
    Authority,
    CertificateRequest,
    IssuedCertificate,
    make_certificate_request,
    make_key,
)
from event_protocol.enrolment import ENROLMENT_PATH, Enrolment, EnrolmentRequest
from event_protocol.evidence import make_request
from event_protocol.names import DeviceId
from tests.central_server.factories import START, make_context, register_device

DEVICE = DeviceId("device-a")


@pytest.fixture
def device_key(database: Database) -> Ed25519PrivateKey:
    return register_device(database)


@pytest.fixture
def context(database: Database, tmp_path: Path, device_key: Ed25519PrivateKey) -> ServerContext:
    return make_context(database, tmp_path)


def ask(
    context: ServerContext,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    app = FastAPI()
    app.state.context = context
    error_pages.install(app)
    app.include_router(route.router)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        typed = {"content-type": "application/json", **(headers or {})}
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, content=body, headers=typed)

    return asyncio.run(send())


def test_a_code_is_traded_once(context: ServerContext) -> None:
    code = enrolment.make_code(context, DEVICE)
    request = EnrolmentRequest(code=code, public_key="cd" * 32, agent_version="1")
    body = request.model_dump_json().encode()
    first, second = (ask(context, "POST", ENROLMENT_PATH, body) for _ in range(2))
    assert first.status_code == 201, first.text
    assert Enrolment.model_validate_json(first.content).device == DEVICE
    assert first.headers["cache-control"] == "no-store"
    assert second.status_code == 422
    assert second.json()["code"] == "error.enrolment_refused"


def test_the_authority_is_shown_to_everybody(context: ServerContext) -> None:
    assert ask(context, "GET", AUTHORITY_PATH).status_code == 404
    authority = make_authority(context.settings.directory, START)
    answer = ask(context, "GET", AUTHORITY_PATH)
    assert Authority.model_validate_json(answer.content).authority == authority.trusted
    assert "PRIVATE" not in answer.text


def test_a_certificate_is_renewed_for_who_signs_as_that_device(
    context: ServerContext, device_key: Ed25519PrivateKey
) -> None:
    make_authority(context.settings.directory, START)
    request = CertificateRequest(certificate_request=make_certificate_request(make_key(), DEVICE))
    body = request.model_dump_json().encode()
    proof = make_request(DEVICE, "POST", CERTIFICATES_PATH, START, body=body)
    answer = ask(context, "POST", CERTIFICATES_PATH, body, proof.headers(device_key))
    assert answer.status_code == 201, answer.text
    assert IssuedCertificate.model_validate_json(answer.content).certificate
    forged = proof.headers(Ed25519PrivateKey.generate())
    for headers in ({}, forged):
        assert ask(context, "POST", CERTIFICATES_PATH, body, headers).status_code == 401
