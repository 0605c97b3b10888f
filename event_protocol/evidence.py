"""How a box answers a request for pictures: its signed report, then an upload that can be resumed.

`PUT` the report; if it says `sent`, `HEAD` tells how much has arrived and `PATCH` adds the next
chunk (as tus 1.0 does it, https://tus.io/protocols/resumable-upload). Repeating any of them changes
nothing. What the answers mean:

- `PUT` 200, `Upload-Offset`: send from there; at the report's `size` (or with nothing to send) all
  is done. A `sent` report with another hash begins the upload anew.
- `HEAD` 200, `Upload-Offset`: how much has arrived.
- `PATCH` 204, `Upload-Offset`: taken. 409, `Upload-Offset`: go on from there instead.
- 401: not signed by this device, or its time is off by more than a quarter of an hour; the answer's
  `Onestop-Time` is the server's, sign again with it.
- 404: no such request of this device. 410: nothing more is wanted. Forget it, in both cases.
- 413, 415, 422: what was sent can't be taken. After the last chunk 422 says that the content is not
  what the report promised (hash or media type) and has been thrown away: begin with `PUT` again.
- 503, 507 (disk full), `Retry-After` in seconds: later; what has arrived is kept.

Pure: no socket, no clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from event_protocol.canonical import canonical_bytes, sha256_hex
from event_protocol.events import WireModel
from event_protocol.names import (
    NAME_PATTERN,
    CameraName,
    DeviceId,
    DeviceName,
    NaturalNumber,
    PositiveInteger,
    Sha256Hex,
    UtcTime,
    format_time,
)
from event_protocol.signing import is_signed, sign

UPLOADS_PATH = "/api/v1/uploads"
CHUNK_MEDIA_TYPE = "application/offset+octet-stream"
MAX_CHUNK_BYTES = 2**20
MAX_REPORT_BYTES = 2**17
MAX_KEYS = 64
# A request that is heard twice changes nothing, so this only keeps old recordings of the line from
# telling how far an upload has come; boxes without a clock of their own may be minutes off.
CLOCK_TOLERANCE = timedelta(minutes=15)

DEVICE_HEADER = "Onestop-Device"
TIME_HEADER = "Onestop-Time"
SIGNATURE_HEADER = "Onestop-Signature"
OFFSET_HEADER = "Upload-Offset"

# Stands in addresses and file names.
RequestId = Annotated[str, Field(pattern=NAME_PATTERN)]


class EvidenceKind(StrEnum):
    """What is asked for: all pictures of a span, or the first one in it."""

    CLIP = "clip"
    SNAPSHOT = "snapshot"


MEDIA_TYPE_OF = {EvidenceKind.CLIP: "video/mp4", EvidenceKind.SNAPSHOT: "image/jpeg"}


class ReportStatus(StrEnum):
    """What the box can do: send it, not any more, or only with keys that it has to ask for."""

    SENT = "sent"
    UNAVAILABLE = "unavailable"
    NEEDS_KEYS = "needs_keys"


class Unavailable(StrEnum):
    """Why there are no pictures of a span."""

    OVERWRITTEN = "overwritten"  # the ring has gone over it
    CAMERA_OFF = "camera_off"  # no picture came from the camera
    NOT_COVERED = "not_covered"  # the agent did not run or did not record
    DISK_FULL = "disk_full"  # there was no room to record
    UNREADABLE = "unreadable"  # recorded, but broken
    KEYS_LOST = "keys_lost"  # recorded, but nobody holds the key any more
    UNKNOWN_CAMERA = "unknown_camera"  # none sees that desk
    TOO_LARGE = "too_large"  # larger than the command allows


class Span(WireModel):
    """A stretch of time, both ends included."""

    begin: UtcTime
    end: UtcTime

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.begin:
            raise ValueError("ends before it begins")
        return self


class SealedKey(WireModel):
    """A data key of the ring as it lies on the box's disk: a `DataKey`, sealed to the server."""

    key_id: RequestId
    sealed: str = Field(max_length=1024)


class Content(WireModel):
    """The file that will be uploaded: its SHA-256, its bytes, what it is."""

    sha256: Sha256Hex
    size: PositiveInteger
    media_type: str = Field(max_length=64)


class EvidenceReport(WireModel):
    """A box's answer to a `send_clip`; `covered` names the parts of the span it has pictures of.

    `content` stands with `sent`, `reason` with `unavailable` (with `sent`: why a part is missing),
    `boot_key` (X25519, hex) and `sealed_keys` with `needs_keys`. `held`: the ring keeps the span.
    """

    request_id: RequestId
    device: DeviceName
    camera: CameraName | None = None  # none sees the desk
    kind: EvidenceKind
    status: ReportStatus
    reason: Unavailable | None = None
    covered: tuple[Span, ...] = Field(default=(), max_length=256)
    content: Content | None = None
    boot_key: Sha256Hex | None = None
    sealed_keys: tuple[SealedKey, ...] = Field(default=(), max_length=MAX_KEYS)
    held: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.content is not None) != (self.status is ReportStatus.SENT):
            raise ValueError("content stands with sent, and only there")
        if self.status is ReportStatus.UNAVAILABLE and self.reason is None:
            raise ValueError("unavailable without a reason")
        if (self.boot_key is not None) != (self.status is ReportStatus.NEEDS_KEYS):
            raise ValueError("a boot key stands with needs_keys, and only there")
        if bool(self.sealed_keys) != (self.status is ReportStatus.NEEDS_KEYS):
            raise ValueError("sealed keys stand with needs_keys, and only there")
        return self


_REPORT: TypeAdapter[EvidenceReport] = TypeAdapter(EvidenceReport)


def report_statement(device: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """What a report's own signature signs: it stays beside the pictures when the line is gone."""
    return {"purpose": "onestop.evidence", "device": device, "content": content}


def report_fields(report: EvidenceReport) -> dict[str, Any]:
    """The report as it stands on the wire, without its signature."""
    return report.model_dump(mode="json", exclude_none=True)


def encode_report(report: EvidenceReport, key: Ed25519PrivateKey) -> bytes:
    """Canonical JSON of the report's fields and `signature`, made with the device's key."""
    content = report_fields(report)
    statement = report_statement(report.device, content)
    return canonical_bytes({**content, "signature": sign(statement, key)})


def decode_report(payload: bytes, public_key: bytes) -> tuple[EvidenceReport, str] | None:
    """The report and its signature; `None` if it is malformed or that key (32 B) didn't sign it."""
    if len(payload) > MAX_REPORT_BYTES:
        return None
    try:
        content = orjson.loads(payload)
        signature = content.pop("signature")
        report = _REPORT.validate_json(canonical_bytes(content))
        signed = is_signed(report_statement(report.device, content), signature, public_key)
    except (ValidationError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return (report, signature) if signed else None


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """One HTTP request of a device in the terms that its signature covers.

    `offset` is `None` but for `PATCH`; `path` is the address without query.
    """

    device: DeviceId
    method: str
    path: str
    at: datetime
    offset: int | None
    body_sha256: str

    def headers(self, key: Ed25519PrivateKey) -> dict[str, str]:
        """The header fields that prove the request; the caller adds the content's type."""
        fields = {
            DEVICE_HEADER: str(self.device),
            TIME_HEADER: format_time(self.at),
            SIGNATURE_HEADER: sign(self._statement(), key),
        }
        return fields if self.offset is None else {**fields, OFFSET_HEADER: str(self.offset)}

    def is_signed(self, signature: str, public_key: bytes) -> bool:
        """Whether the holder of that key (32 bytes) sent it."""
        return is_signed(self._statement(), signature, public_key)

    def is_fresh(self, now: datetime) -> bool:
        """Whether the device's time agrees with the server's."""
        return abs(now - self.at) <= CLOCK_TOLERANCE

    def _statement(self) -> dict[str, Any]:
        statement = {
            "purpose": "onestop.upload",
            "device": self.device,
            "method": self.method,
            "path": self.path,
            "sha256": self.body_sha256,
            "time": format_time(self.at),
        }
        return statement if self.offset is None else {**statement, "offset": self.offset}


def upload_path(request_id: str) -> str:
    """Where the report and the pictures of that request go."""
    return f"{UPLOADS_PATH}/{request_id}"


def make_request(
    device: DeviceId,
    method: str,
    path: str,
    at: datetime,
    *,
    body: bytes = b"",
    offset: int | None = None,
) -> UploadRequest:
    """A request that is about to be sent; sign it with `headers`."""
    return UploadRequest(device, method, path, at, offset, sha256_hex(body))


class _Claim(WireModel):
    """What the header fields say, in their types."""

    device: DeviceName
    at: UtcTime
    offset: NaturalNumber | None = None
    signature: str = Field(max_length=128)


def read_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[UploadRequest, str] | None:
    """What a received request claims, and its signature, both unchecked; `None` if malformed.

    `headers` finds names in any case, as HTTP frameworks' do.
    """
    try:
        claim = _Claim.model_validate_strings(
            {
                "device": headers[DEVICE_HEADER],
                "at": headers[TIME_HEADER],
                "signature": headers[SIGNATURE_HEADER],
                **({"offset": headers[OFFSET_HEADER]} if OFFSET_HEADER in headers else {}),
            }
        )
    except (KeyError, ValidationError):
        return None
    request = UploadRequest(
        DeviceId(claim.device), method, path, claim.at, claim.offset, sha256_hex(body)
    )
    return request, claim.signature
