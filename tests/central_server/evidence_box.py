"""A box that answers requests for pictures: signs, reports, uploads; and real pictures to send."""

from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction
from functools import cache
from io import BytesIO
from typing import Any

import av
import httpx
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_server.services.context import ServerContext
from central_server.services.device_requests import Caller
from central_server.storage.evidence_tables import EvidenceRequestRow
from central_server.storage.tables import DeviceRow
from event_protocol.canonical import sha256_hex
from event_protocol.evidence import (
    CHUNK_MEDIA_TYPE,
    MEDIA_TYPE_OF,
    Content,
    EvidenceKind,
    EvidenceReport,
    ReportStatus,
    Span,
    encode_report,
    make_request,
    upload_path,
)
from event_protocol.names import DeviceId

CLIP_FPS = 10


Ask = Callable[..., httpx.Response]  # any HTTP client's `request`


@cache
def make_clip(seconds: int = 2, size: int = 64) -> bytes:
    """A small MP4 of H.264: a grey picture that grows lighter."""
    written = BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=CLIP_FPS)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, CLIP_FPS)
        for number in range(seconds * CLIP_FPS):
            picture = np.full((size, size, 3), 40 + number * 5, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    return written.getvalue()


@cache
def make_snapshot() -> bytes:
    """A small JPEG."""
    written = BytesIO()
    with av.open(written, "w", format="image2pipe") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        picture = np.full((64, 64, 3), 90, dtype=np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    return written.getvalue()


class Box:
    """One device with its key, known to the server."""

    def __init__(self, context: ServerContext, device: str, ask: Ask | None = None) -> None:
        self.context, self.device = context, DeviceId(device)
        self.key = Ed25519PrivateKey.generate()
        self._ask = ask
        with context.database.transaction() as db:
            row = db.get_one(DeviceRow, device)
            row.public_key = self.public_key.hex()
            db.add(row)

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def report(
        self, row: EvidenceRequestRow, sent: bytes | None = None, **fields: Any
    ) -> EvidenceReport:
        """Status `sent` if something is, of the whole span unless `fields` say otherwise."""
        kind = EvidenceKind(row.kind)
        content = sent and Content(
            sha256=sha256_hex(sent), size=len(sent), media_type=MEDIA_TYPE_OF[kind]
        )
        return EvidenceReport.model_validate(
            {
                "request_id": row.request_id,
                "device": self.device,
                "camera": "ceiling",
                "kind": kind,
                "status": ReportStatus.SENT if sent else ReportStatus.UNAVAILABLE,
                "covered": (Span(begin=row.begin, end=row.end),) if sent else (),
                "content": content or None,
                **fields,
            }
        )

    def sign(self, report: EvidenceReport) -> bytes:
        """The report as it travels."""
        return encode_report(report, self.key)

    def caller(self, offset: int | None = None) -> Caller:
        """Who this is once the server has checked a signature."""
        return Caller(self.device, self.public_key, offset)

    def send(
        self,
        method: str,
        request_id: str,
        body: bytes = b"",
        *,
        offset: int | None = None,
        at: datetime | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One signed HTTP request."""
        assert self._ask is not None
        path = upload_path(request_id)
        signed = make_request(
            self.device, method, path, at or self.context.now(), body=body, offset=offset
        ).headers(self.key)
        kind = {"Content-Type": CHUNK_MEDIA_TYPE} if method == "PATCH" else {}
        return self._ask(method, path, content=body, headers={**kind, **signed, **(headers or {})})

    def upload(self, row: EvidenceRequestRow, content: bytes, chunk: int = 1000) -> httpx.Response:
        """Report, then all chunks; the last answer."""
        answer = self.send("PUT", row.request_id, self.sign(self.report(row, content)))
        assert answer.status_code == 200, answer.text
        offset = int(answer.headers["Upload-Offset"])
        while offset < len(content):
            part = content[offset : offset + chunk]
            answer = self.send("PATCH", row.request_id, part, offset=offset)
            if answer.status_code != 204:
                return answer
            offset = int(answer.headers["Upload-Offset"])
        return answer
