"""The devices' door in HTTP's terms: what each answer is, and that nothing else gets in."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central_server.domain.permissions import FlagScope, UnitId, everywhere
from central_server.services import evidence
from central_server.services.context import ServerContext
from central_server.storage.evidence_tables import EvidenceRequestRow
from event_protocol.evidence import CHUNK_MEDIA_TYPE, MAX_CHUNK_BYTES, EvidenceKind, Unavailable
from tests.central_server.evidence_box import Box, make_clip
from tests.central_server.http.internal.browser import Browser
from tests.factories import NOW, make_id
from tests.processes.full_disk import no_file_grows_beyond

CLIP = make_clip()
SCOPE = FlagScope(everywhere([UnitId("commune-a")]), inspection=True)


@pytest.fixture
def box(app: FastAPI, context: ServerContext) -> Box:
    return Box(context, "device-commune-a", Browser(app).ask)


@pytest.fixture
def row(context: ServerContext, box: Box) -> EvidenceRequestRow:
    flag = make_id("wait-commune-a")
    return evidence.ask(context, SCOPE, flag, EvidenceKind.CLIP, by="an", reason="chờ lâu")


def test_a_clip_arrives_in_chunks(
    box: Box, row: EvidenceRequestRow, context: ServerContext
) -> None:
    answer = box.upload(row, CLIP)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(CLIP)))
    asked = box.send("HEAD", row.request_id)
    assert (asked.status_code, asked.headers["Upload-Offset"]) == (200, str(len(CLIP)))
    assert asked.content == b""


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["PUT", "PATCH", "HEAD"]),
    body=st.binary(max_size=400) | st.text().map(str.encode) | st.just(b'{"report": {}}'),
    offset=st.none() | st.integers(-5, 2**53 - 1),
    is_known=st.booleans(),
)
def test_whatever_a_paired_box_signs_is_answered(
    box: Box,
    row: EvidenceRequestRow,
    method: str,
    body: bytes,
    offset: int | None,
    is_known: bool,
) -> None:
    request_id = row.request_id if is_known else make_id("none")
    assert box.send(method, request_id, body, offset=offset).status_code < 500


def test_a_chunk_from_elsewhere_is_told_where_to_go_on(box: Box, row: EvidenceRequestRow) -> None:
    box.send("PUT", row.request_id, box.sign(box.report(row, CLIP)))
    box.send("PATCH", row.request_id, CLIP[:700], offset=0)
    answer = box.send("PATCH", row.request_id, CLIP[:700], offset=0)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "700")


def test_a_full_disk_asks_for_patience_and_the_upload_goes_on(
    box: Box, row: EvidenceRequestRow
) -> None:
    box.send("PUT", row.request_id, box.sign(box.report(row, CLIP)))
    assert box.send("PATCH", row.request_id, CLIP[:700], offset=0).status_code == 204
    with no_file_grows_beyond(1000):
        full = box.send("PATCH", row.request_id, CLIP[700:], offset=700)
    assert (full.status_code, full.headers["Retry-After"]) == (507, "60")
    assert box.send("HEAD", row.request_id).headers["Upload-Offset"] == "700"
    assert box.send("PATCH", row.request_id, CLIP[700:], offset=700).status_code == 204


def test_a_wrong_hash_is_refused_in_words(box: Box, row: EvidenceRequestRow) -> None:
    box.send("PUT", row.request_id, box.sign(box.report(row, CLIP)))
    answer = box.send("PATCH", row.request_id, bytes(len(CLIP)), offset=0)
    assert (answer.status_code, answer.json()["code"]) == (422, "error.evidence_hash")
    assert box.upload(row, CLIP).status_code == 204


def test_what_is_over_is_gone_and_what_never_was_is_not_found(
    box: Box, row: EvidenceRequestRow
) -> None:
    refusal = box.sign(box.report(row, reason=Unavailable.OVERWRITTEN))
    assert box.send("PUT", row.request_id, refusal).status_code == 200
    assert box.send("HEAD", row.request_id).status_code == 410
    assert box.send("HEAD", make_id("nothing")).status_code == 404
    assert box.send("PUT", row.request_id, b"{}").status_code == 422


def test_only_the_box_s_signature_opens_the_door(
    box: Box, row: EvidenceRequestRow, context: ServerContext, app: FastAPI
) -> None:
    stranger = Box(context, "device-commune-b", Browser(app).ask)
    for answer in (
        box.send("HEAD", row.request_id, headers={"Onestop-Signature": "A" * 86 + "=="}),
        box.send("HEAD", row.request_id, headers={"Onestop-Device": "device-commune-b"}),
        box.send("HEAD", row.request_id, at=NOW - timedelta(hours=1)),
        box.send("PATCH", row.request_id, b"x", offset=0, headers={"Upload-Offset": "1"}),
        Browser(app).ask("PUT", f"/api/v1/uploads/{row.request_id}"),
    ):
        assert answer.status_code == 401
        assert answer.headers["Onestop-Time"] == "2026-03-18T03:00:00.000Z"
    assert stranger.send("HEAD", row.request_id).status_code == 404


def test_chunks_have_a_type_and_a_largest_size(box: Box, row: EvidenceRequestRow) -> None:
    box.send("PUT", row.request_id, box.sign(box.report(row, CLIP)))
    typed = box.send("PATCH", row.request_id, b"x", offset=0, headers={"Content-Type": "text/html"})
    assert typed.status_code == 415
    large = box.send("PATCH", row.request_id, bytes(MAX_CHUNK_BYTES + 1), offset=0)
    assert large.status_code == 413
    most = box.send("PATCH", row.request_id, bytes(MAX_CHUNK_BYTES), offset=0)
    assert (most.status_code, most.json()["code"]) == (422, "error.evidence_content")


def test_the_door_is_described(app: FastAPI) -> None:
    described = Browser(app).get("/api/v1/openapi.json").json()["paths"]
    door = described["/api/v1/uploads/{request_id}"]
    assert set(door) == {"put", "head", "patch"}
    assert CHUNK_MEDIA_TYPE in door["patch"]["requestBody"]["content"]
