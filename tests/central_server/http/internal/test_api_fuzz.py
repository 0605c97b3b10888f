"""schemathesis over the API's own OpenAPI document, for several roles and for nobody.

Whatever is sent, as described or not, is answered: never with 5xx, and only with what the document
says. `FUZZ_CASES=100` tries more.
"""

import os
from collections.abc import Iterator
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, SerializationContext
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from central_server.domain.permissions import Role
from central_server.services.context import ServerContext
from tests.central_server.http.internal.browser import ORIGIN, Browser
from tests.central_server.http.internal.conftest import OpenBrowser
from tests.factories import make_received_clip

AnyCase = Case[Any]
Operation = APIOperation[Any, Any, Any, Any]
WHO = (None, Role.LEAD_INSPECTOR, Role.ADMINISTRATOR, Role.AUDITOR)
# Cases for each operation, each sent by everybody: some 20 s.
CASES = int(os.environ.get("FUZZ_CASES", "4"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def operations(app: FastAPI) -> Iterator[Operation]:
    """Everything that the document names."""
    for found in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


def send(case: AnyCase, client: Browser) -> None:
    """One case as that browser, and what is wrong with the answer."""
    asked = case.as_transport_kwargs(base_url=ORIGIN)
    own = asked.pop("cookies", None)
    assert not own, "no operation names a cookie"
    if "data" in asked:
        asked["content"] = asked.pop("data")
    answer = client.ask(asked.pop("method"), asked.pop("url"), **asked)
    case.validate_response(answer, checks=CHECKS)


@schemathesis.serializer("application/offset+octet-stream")
def _bytes_of(_context: SerializationContext, value: Any) -> bytes:
    """A chunk of an upload as it is."""
    return value if isinstance(value, bytes) else str(value).encode()


def test_whatever_is_sent_is_answered_as_the_document_says(
    app: FastAPI, context: ServerContext, browser: OpenBrowser
) -> None:
    with context.database.transaction() as db:
        db.add(make_received_clip("commune-a"))
    clients = [browser(role) for role in WHO]
    tried: set[str] = set()
    for operation in operations(app):
        cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode])

        @settings(max_examples=CASES, suppress_health_check=list(HealthCheck), database=None)
        @given(cases)
        def try_cases(case: AnyCase) -> None:
            tried.add(case.operation.label)
            for client in clients:
                send(case, client)

        if operation.label != "DELETE /api/v1/session":  # the others would find nobody logged in
            try_cases()
    assert {"PATCH /api/v1/uploads/{request_id}", "POST /api/v1/session"} <= tried
