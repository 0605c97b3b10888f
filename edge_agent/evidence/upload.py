"""Sends reports and pictures to the server over HTTP, from wherever an earlier try stopped.

Says nothing in the log: a line would show at the unit that something was asked for.
"""

import ssl
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import TypeAdapter, ValidationError

from event_protocol.evidence import (
    CHUNK_MEDIA_TYPE,
    OFFSET_HEADER,
    TIME_HEADER,
    EvidenceReport,
    encode_report,
    make_request,
    upload_path,
)
from event_protocol.names import DeviceId, UtcTime

_TIMEOUT_S = 30
# A chunk that breaks off is sent again whole; on a line of 1 Mbit/s this one takes two seconds.
CHUNK_BYTES = 2**18
_TIME: TypeAdapter[datetime] = TypeAdapter(UtcTime)


class UploadError(Exception):
    """The server did not take it."""


class UnknownRequestError(UploadError):
    """It knows no such request of this device."""


class EndedError(UploadError):
    """Nothing more is wanted."""


class LaterError(UploadError):
    """No answer, or not now; `retry_after_s` is the server's wish, if it has one."""

    def __init__(self, reason: str, retry_after_s: float = 0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Uploader:
    """`is_private` says whether an address may be used: by HTTPS, or on this machine.

    `trust` says whose certificates are believed.

    For one thread, but for `stop`.
    """

    def __init__(
        self,
        device: DeviceId,
        key: Ed25519PrivateKey,
        now: Callable[[], datetime],
        is_private: Callable[[str], bool],
        trust: ssl.SSLContext,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._device = device
        self._key = key
        self._now = now
        self._is_private = is_private
        self._trust = trust
        self._chunk_bytes = chunk_bytes
        self._stopping = threading.Event()
        self._ahead = timedelta(0)  # the server's clock before ours, once it complained

    def stop(self) -> None:
        """End an upload after the chunk at hand."""
        self._stopping.set()

    def report(self, server_url: str, report: EvidenceReport) -> int:
        """Say what can be had; returns how much of it the server holds already.

        Raises `UploadError`, as all here.
        """
        body = encode_report(report, self._key)
        answer = self._request(server_url, "PUT", report.request_id, body, "application/json")
        if answer.status_code not in (200, 204):
            raise LaterError(f"HTTP {answer.status_code} to a report")
        return _offset_in(answer)

    def send(self, server_url: str, request_id: str, content: bytes, offset: int) -> None:
        """The content from there on."""
        while offset < len(content):
            if self._stopping.is_set():
                raise LaterError("stopping")
            chunk = content[offset : offset + self._chunk_bytes]
            answer = self._request(server_url, "PATCH", request_id, chunk, CHUNK_MEDIA_TYPE, offset)
            if answer.status_code not in (204, 409):
                raise LaterError(f"HTTP {answer.status_code} to a chunk")
            offset = _offset_in(answer)

    def _request(
        self,
        server_url: str,
        method: str,
        request_id: str,
        body: bytes,
        media_type: str,
        offset: int | None = None,
    ) -> httpx.Response:
        if not self._is_private(server_url):
            raise LaterError("neither HTTPS nor this machine")
        answer = self._try(server_url, method, request_id, body, media_type, offset)
        if answer.status_code == 401 and TIME_HEADER in answer.headers:
            self._learn_time(answer)
            answer = self._try(server_url, method, request_id, body, media_type, offset)
        if answer.status_code == 404:
            raise UnknownRequestError("HTTP 404")
        if answer.status_code == 410:
            raise EndedError("HTTP 410")
        if answer.status_code in (503, 507):
            raise LaterError(f"HTTP {answer.status_code}", _seconds_in(answer))
        return answer

    def _try(
        self,
        server_url: str,
        method: str,
        request_id: str,
        body: bytes,
        media_type: str,
        offset: int | None,
    ) -> httpx.Response:
        path = upload_path(request_id)
        at = self._now() + self._ahead
        request = make_request(self._device, method, path, at, body=body, offset=offset)
        headers = {**request.headers(self._key), "content-type": media_type}
        try:
            return httpx.request(
                method,
                server_url.rstrip("/") + path,
                content=body,
                headers=headers,
                timeout=_TIMEOUT_S,
                verify=self._trust,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LaterError(f"{type(error).__name__}: {error}") from error

    def _learn_time(self, answer: httpx.Response) -> None:
        try:
            self._ahead = _TIME.validate_json(f'"{answer.headers[TIME_HEADER]}"') - self._now()
        except ValidationError as error:
            raise LaterError("a time that can't be read") from error


def _offset_in(answer: httpx.Response) -> int:
    try:
        return int(answer.headers[OFFSET_HEADER])
    except (KeyError, ValueError) as error:
        raise LaterError("an answer without a position") from error


def _seconds_in(answer: httpx.Response) -> float:
    try:
        return float(answer.headers.get("retry-after", "0"))
    except ValueError:
        return 0.0
