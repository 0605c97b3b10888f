"""Where devices bring pictures: signed by their own keys, in chunks that can be resumed."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from central_server.http.dependencies import Context
from central_server.http.device_requests import DeviceRoute, SentBytes, Signed, refuse
from central_server.services import evidence_uploads
from event_protocol.evidence import CHUNK_MEDIA_TYPE, OFFSET_HEADER, UPLOADS_PATH

_REPORT = {"content": {"application/json": {"schema": {"type": "object"}}}}
_CHUNK = {"content": {CHUNK_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "Not signed by that device (docs/PROTOCOL.md), or its clock is off."},
    404: {"description": "No such request of this device."},
    410: {"description": "Nothing more is wanted."},
    422: {"description": "Not what was asked for, or not what the report promised."},
}

router = APIRouter(
    prefix=UPLOADS_PATH, tags=["devices"], responses=_ANSWERS, route_class=DeviceRoute
)


@router.put("/{request_id}", operation_id="reportEvidence", openapi_extra={"requestBody": _REPORT})
def report(caller: Signed, request_id: UUID, context: Context, body: SentBytes) -> Response:
    """What the device can send, signed; answers how much of it is here already."""
    offset = evidence_uploads.take_report(context, caller, str(request_id), body)
    return _say(200, offset)


@router.head("/{request_id}", operation_id="getUploadOffset")
def find_offset(caller: Signed, request_id: UUID, context: Context) -> Response:
    """How much has arrived."""
    return _say(200, evidence_uploads.offset_of(context, caller, str(request_id)))


@router.patch(
    "/{request_id}",
    operation_id="sendChunk",
    status_code=204,
    openapi_extra={"requestBody": _CHUNK},
    responses={
        409: {"description": "Go on from `Upload-Offset`."},
        413: {"description": "More than 1 MiB."},
        415: {"description": f"Not `{CHUNK_MEDIA_TYPE}`."},
        507: {"description": "The disk is full; what has arrived is kept."},
    },
)
def take_chunk(
    request: Request, caller: Signed, request_id: UUID, context: Context, body: SentBytes
) -> Response:
    """The next bytes, from `Upload-Offset` on; with the last ones the whole is checked."""
    if request.headers.get("content-type") != CHUNK_MEDIA_TYPE:
        return refuse(request, 415, "error.invalid_type", {})
    return _say(204, evidence_uploads.take_chunk(context, caller, str(request_id), body))


def _say(status: int, offset: int) -> Response:
    return Response(status_code=status, headers={OFFSET_HEADER: str(offset)})
