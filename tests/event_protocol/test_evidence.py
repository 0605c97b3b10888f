"""A box's reports and signed upload requests: whole, by the device, for that place alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from event_protocol.evidence import (
    CLOCK_TOLERANCE,
    DEVICE_HEADER,
    MAX_REPORT_BYTES,
    OFFSET_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    Content,
    EvidenceKind,
    EvidenceReport,
    ReportStatus,
    SealedKey,
    Span,
    Unavailable,
    decode_report,
    encode_report,
    make_request,
    read_request,
    upload_path,
)
from event_protocol.names import DeviceId

DEVICE = DeviceId("desk-box-01")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = KEY.public_key().public_bytes_raw()
AT = datetime(2026, 1, 5, 1, 30, 0, 120_000, tzinfo=UTC)
PATH = upload_path("request-1")
CONTENT = Content(sha256="ab" * 32, size=7, media_type="video/mp4")
SEALED = (SealedKey(key_id="k1", sealed="id:c2VhbGVk"),)


def report(status: ReportStatus = ReportStatus.SENT, **fields: Any) -> EvidenceReport:
    """A report on the one request; `sent` has its content."""
    content = CONTENT if status is ReportStatus.SENT else None
    return EvidenceReport.model_validate(
        {
            "request_id": "request-1",
            "device": DEVICE,
            "camera": "ceiling",
            "kind": EvidenceKind.CLIP,
            "status": status,
            "covered": (Span(begin=AT, end=AT + timedelta(seconds=9)),),
            "content": content,
            **fields,
        }
    )


WHOLE = [
    report(),
    report(reason=Unavailable.OVERWRITTEN, held=True),
    report(ReportStatus.UNAVAILABLE, reason=Unavailable.UNKNOWN_CAMERA, camera=None),
    report(ReportStatus.NEEDS_KEYS, boot_key="cd" * 32, sealed_keys=SEALED),
]


@pytest.mark.parametrize("whole", WHOLE, ids=lambda one: one.status)
def test_a_report_reads_as_it_was_written(whole: EvidenceReport) -> None:
    read = decode_report(encode_report(whole, KEY), PUBLIC_KEY)
    assert read is not None
    assert read[0] == whole


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (ReportStatus.SENT, {"content": None}),
        (ReportStatus.UNAVAILABLE, {}),
        (ReportStatus.UNAVAILABLE, {"reason": Unavailable.CAMERA_OFF, "content": CONTENT}),
        (ReportStatus.UNAVAILABLE, {"reason": Unavailable.CAMERA_OFF, "sealed_keys": SEALED}),
        (ReportStatus.NEEDS_KEYS, {"boot_key": "cd" * 32}),
        (ReportStatus.NEEDS_KEYS, {"sealed_keys": SEALED}),
    ],
)
def test_a_report_says_all_that_its_status_promises(
    status: ReportStatus, fields: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError):
        report(status, **fields)


def test_a_span_ends_after_it_begins() -> None:
    assert Span(begin=AT, end=AT)
    with pytest.raises(ValidationError):
        Span(begin=AT, end=AT - timedelta(milliseconds=1))


def test_a_report_changed_on_the_way_or_signed_by_another_counts_for_nothing() -> None:
    wire = orjson.loads(encode_report(report(), KEY))
    changes: list[dict[str, Any]] = [{"held": True}, {"signature": 7}, {"extra": 1}]
    for changed in changes:
        assert decode_report(orjson.dumps(wire | changed), PUBLIC_KEY) is None
    assert decode_report(encode_report(report(), Ed25519PrivateKey.generate()), PUBLIC_KEY) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_no_report(payload: bytes) -> None:
    assert decode_report(payload, PUBLIC_KEY) is None


def test_a_report_has_a_largest_size() -> None:
    padded = encode_report(report(), KEY).ljust(MAX_REPORT_BYTES)
    assert decode_report(padded, PUBLIC_KEY)
    assert decode_report(padded + b" ", PUBLIC_KEY) is None


@pytest.mark.parametrize("offset", [None, 0, 2**20])
def test_a_signed_request_is_the_devices_for_that_method_place_body_and_offset(
    offset: int | None,
) -> None:
    headers = make_request(DEVICE, "PATCH", PATH, AT, body=b"part", offset=offset).headers(KEY)
    read = read_request("PATCH", PATH, headers, b"part")
    assert read is not None
    request, signature = read
    assert (request.device, request.at, request.offset) == (DEVICE, AT, offset)
    assert request.is_signed(signature, PUBLIC_KEY)
    for method, path, body, changed in (
        ("HEAD", PATH, b"part", {}),
        ("PATCH", upload_path("request-2"), b"part", {}),
        ("PATCH", PATH, b"other", {}),
        ("PATCH", PATH, b"part", {OFFSET_HEADER: "1"}),
        ("PATCH", PATH, b"part", {DEVICE_HEADER: "other-box"}),
        ("PATCH", PATH, b"part", {TIME_HEADER: "2026-01-05T01:30:00.121Z"}),
    ):
        other = read_request(method, path, headers | changed, body)
        assert other is not None
        assert not other[0].is_signed(other[1], PUBLIC_KEY)


@pytest.mark.parametrize(
    "changed",
    [
        {OFFSET_HEADER: "-1"},
        {OFFSET_HEADER: "1.5"},
        {DEVICE_HEADER: "../etc"},
        {TIME_HEADER: "yesterday"},
        {TIME_HEADER: "2026-01-05T01:30:00"},
        {SIGNATURE_HEADER: "A" * 129},
    ],
)
def test_malformed_header_fields_are_no_request(changed: dict[str, str]) -> None:
    headers = make_request(DEVICE, "HEAD", PATH, AT).headers(KEY)
    assert read_request("HEAD", PATH, headers | changed, b"") is None


def test_a_request_without_a_signature_is_none() -> None:
    assert read_request("HEAD", PATH, {DEVICE_HEADER: DEVICE}, b"") is None


def test_a_request_is_fresh_while_the_clocks_agree() -> None:
    request = make_request(DEVICE, "HEAD", PATH, AT)
    assert request.is_fresh(AT - CLOCK_TOLERANCE)
    assert request.is_fresh(AT + CLOCK_TOLERANCE)
    assert not request.is_fresh(AT + CLOCK_TOLERANCE + timedelta(seconds=1))
