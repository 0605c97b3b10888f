"""The server's side of evidence, as small as it can be: one real HTTP server that keeps uploads.

It checks every signature, hands keys back as the real one does, and can be told to fail.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

from event_protocol.evidence import (
    OFFSET_HEADER,
    TIME_HEADER,
    UPLOADS_PATH,
    EvidenceReport,
    ReportStatus,
    decode_report,
    read_request,
)
from event_protocol.evidence_keys import hand_back, unseal_key
from event_protocol.messages import HandedKey
from event_protocol.names import format_time
from event_protocol.sealing import SealError
from tests.processes.local_http import LocalServer, Quiet


class UploadServer(LocalServer):
    """Takes reports and chunks of one device.

    `faults` are answered first, in order: a status, or 0 to hang up after half the chunk.
    """

    def __init__(self, device_key: bytes, sealing_keys: dict[str, bytes]) -> None:
        super().__init__(_Answer)
        self.device_key = device_key
        self.sealing_keys = sealing_keys
        self.reports: list[EvidenceReport] = []
        self.received: dict[str, bytearray] = {}
        self.asked: list[tuple[str, int | None]] = []
        self.faults: list[int] = []
        self.ended: set[str] = set()
        self.ahead = timedelta(0)
        self.on_keys_wanted: Callable[[EvidenceReport, tuple[HandedKey, ...]], None] = (
            lambda _report, _keys: None
        )

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead  # noqa: TID251 - the machine's clock, as a server

    def was_asked(self, times: int) -> bool:
        """Whether so many requests have come."""
        return len(self.asked) >= times

    def last(self, status: ReportStatus) -> EvidenceReport | None:
        """The newest report of that kind."""
        return next((r for r in reversed(self.reports) if r.status is status), None)

    def is_whole(self) -> bool:
        """Whether the newest promised content has arrived."""
        report = self.last(ReportStatus.SENT)
        if report is None or report.content is None:
            return False
        body = bytes(self.received.get(report.content.sha256, b""))
        return hashlib.sha256(body).hexdigest() == report.content.sha256

    def open_keys(self, report: EvidenceReport) -> tuple[HandedKey, ...]:
        """Those that can be opened, for the boot that asks."""
        handed = []
        for key in report.sealed_keys:
            try:
                opened = unseal_key(key.sealed, self.sealing_keys)
            except SealError:
                continue
            boot_key = bytes.fromhex(report.boot_key or "")
            handed.append(HandedKey(key_id=key.key_id, handed=hand_back(opened, boot_key)))
        return tuple(handed)


class _Answer(Quiet, BaseHTTPRequestHandler):
    server: UploadServer

    def do_PUT(self) -> None:
        body = self._take()
        if body is None:
            return
        decoded = decode_report(body, self.server.device_key)
        assert decoded is not None
        report = decoded[0]
        assert self.path == f"{UPLOADS_PATH}/{report.request_id}"
        self.server.reports.append(report)
        if report.request_id in self.server.ended:
            self._say(410)
            return
        if report.content is not None:
            self._reach(report.content.sha256)
        else:
            self._say(200, 0)
        if report.status is ReportStatus.NEEDS_KEYS:
            self.server.on_keys_wanted(report, self.server.open_keys(report))

    def do_PATCH(self) -> None:
        body = self._take()
        if body is None:
            return
        report = self.server.last(ReportStatus.SENT)
        assert report is not None
        assert report.content is not None
        assert self.headers["content-type"] == "application/offset+octet-stream"
        held = self.server.received.setdefault(report.content.sha256, bytearray())
        if int(self.headers[OFFSET_HEADER]) != len(held):
            self._say(409, len(held))
            return
        held += body
        self._say(204, len(held))

    def _reach(self, sha256: str) -> None:
        self._say(200, len(self.server.received.setdefault(sha256, bytearray())))

    def _take(self) -> bytes | None:
        """The request's body once its signature is checked; `None` if it is answered already."""
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        offset = self.headers.get(OFFSET_HEADER)
        self.server.asked.append((self.command, None if offset is None else int(offset)))
        read = read_request(self.command, self.path, dict(self.headers), body)
        assert read is not None
        assert read[0].is_signed(read[1], self.server.device_key)
        if not read[0].is_fresh(self.server.now):
            self._say(401)
        elif self.server.faults:
            self._fail(self.server.faults.pop(0))
        else:
            return body
        return None

    def _fail(self, status: int) -> None:
        if status:
            self._say(status)
        else:
            self.close_connection = True
            self.connection.close()

    def _say(self, status: int, offset: int | None = None) -> None:
        self.send_response(status)
        self.send_header(TIME_HEADER, format_time(self.server.now))
        if offset is not None:
            self.send_header(OFFSET_HEADER, str(offset))
        if status == 503:
            self.send_header("Retry-After", "0.1")
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()
