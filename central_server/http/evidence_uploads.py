"""Where devices bring pictures: signed by their own keys, in chunks that can be resumed."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from central_server.domain.errors import DomainError, NotLoggedInError
from central_server.http import error_pages
from central_server.http.dependencies import Context, server_context
from central_server.services import evidence_uploads
from central_server.services.evidence_uploads import Caller
from central_server.storage.evidence_files import DiskFullError, WrongOffsetError
from event_protocol.evidence import CHUNK_MEDIA_TYPE, OFFSET_HEADER, TIME_HEADER, UPLOADS_PATH
from event_protocol.names import format_time

RETRY_AFTER_S = 60
_REPORT = {"content": {"application/json": {"schema": {"type": "object"}}}}
_CHUNK = {"content": {CHUNK_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "Not signed by that device (docs/PROTOCOL.md), or its clock is off."},
    404: {"description": "No such request of this device."},
    410: {"description": "Nothing more is wanted."},
    422: {"description": "Not what was asked for, or not what the report promised."},
}


class _DeviceRoute(APIRoute):
    """Answers a device's mistakes in the terms of its protocol."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route, with its refusals as answers."""
        handle = super().get_route_handler()

        async def handle_or_refuse(request: Request) -> Response:
            try:
                return await handle(request)
            except WrongOffsetError as error:
                return _refuse(request, 409, "error.conflict", {OFFSET_HEADER: str(error.offset)})
            except DiskFullError:
                again = {"Retry-After": str(RETRY_AFTER_S)}
                return _refuse(request, 507, "error.disk_full", again)
            except NotLoggedInError:
                time = {TIME_HEADER: format_time(server_context(request).now())}
                return _refuse(request, 401, "error.evidence_unsigned", time)
            except DomainError as error:
                return error_pages.answer_error(request, error)

        return handle_or_refuse


def _refuse(request: Request, status: int, code: str, headers: dict[str, str]) -> Response:
    response = error_pages.answer(request, status, code)
    response.headers.update(headers)
    return response


async def _read_body(request: Request) -> bytes:
    return await request.body()


SentBytes = Annotated[bytes, Depends(_read_body)]


def _authenticate(request: Request, context: Context, body: SentBytes) -> Caller:
    method, path = request.method, request.url.path
    return evidence_uploads.authenticate(context, method, path, request.headers, body)


Signed = Annotated[Caller, Depends(_authenticate)]

router = APIRouter(
    prefix=UPLOADS_PATH, tags=["devices"], responses=_ANSWERS, route_class=_DeviceRoute
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
        return _refuse(request, 415, "error.invalid_type", {})
    return _say(204, evidence_uploads.take_chunk(context, caller, str(request_id), body))


def _say(status: int, offset: int) -> Response:
    return Response(status_code=status, headers={OFFSET_HEADER: str(offset)})
