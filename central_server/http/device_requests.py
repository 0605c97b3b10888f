"""What the doors for devices share: signed requests, and refusals in the terms of the protocol."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from central_server.domain.errors import DomainError, NotLoggedInError
from central_server.http import error_pages
from central_server.http.dependencies import Context, server_context
from central_server.services import device_requests
from central_server.services.device_requests import Caller
from central_server.storage.evidence_files import DiskFullError, WrongOffsetError
from event_protocol.evidence import OFFSET_HEADER, TIME_HEADER
from event_protocol.names import format_time

RETRY_AFTER_S = 60


class DeviceRoute(APIRoute):
    """Answers a device's mistakes in the terms of its protocol."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route, with its refusals as answers."""
        handle = super().get_route_handler()

        async def handle_or_refuse(request: Request) -> Response:
            try:
                return await handle(request)
            except WrongOffsetError as error:
                return refuse(request, 409, "error.conflict", {OFFSET_HEADER: str(error.offset)})
            except DiskFullError:
                again = {"Retry-After": str(RETRY_AFTER_S)}
                return refuse(request, 507, "error.disk_full", again)
            except NotLoggedInError:
                time = {TIME_HEADER: format_time(server_context(request).now())}
                return refuse(request, 401, "error.evidence_unsigned", time)
            except DomainError as error:
                return error_pages.answer_error(request, error)

        return handle_or_refuse


def refuse(request: Request, status: int, code: str, headers: dict[str, str]) -> Response:
    """A refusal with what helps the device to do better."""
    response = error_pages.answer(request, status, code)
    response.headers.update(headers)
    return response


async def _read_body(request: Request) -> bytes:
    return await request.body()


SentBytes = Annotated[bytes, Depends(_read_body)]


def _authenticate(request: Request, context: Context, body: SentBytes) -> Caller:
    method, path = request.method, request.url.path
    return device_requests.authenticate(context, method, path, request.headers, body)


Signed = Annotated[Caller, Depends(_authenticate)]
