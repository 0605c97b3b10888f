"""Reports and chunks against a real HTTP server: signed, resumed, and never in the log."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.evidence.upload import EndedError, LaterError, UnknownRequestError, Uploader
from event_protocol.canonical import sha256_hex
from event_protocol.evidence import Content, EvidenceKind, EvidenceReport, ReportStatus
from event_protocol.names import DeviceId
from tests.processes.upload_server import UploadServer

DEVICE = DeviceId("box-1")
KEY = Ed25519PrivateKey.generate()
TRUST = ssl.create_default_context()  # not asked for on loopback without TLS
CONTENT = bytes(range(256)) * 2600  # three chunks
REPORT = EvidenceReport(
    request_id="request-1",
    device=DEVICE,
    camera="room",
    kind=EvidenceKind.CLIP,
    status=ReportStatus.SENT,
    content=Content(sha256=sha256_hex(CONTENT), size=len(CONTENT), media_type="video/mp4"),
)


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a real server under test shares the machine's clock


@pytest.fixture
def server() -> Iterator[UploadServer]:
    with UploadServer(KEY.public_key().public_bytes_raw(), {}) as running:
        yield running


@pytest.fixture
def uploader() -> Uploader:
    return Uploader(DEVICE, KEY, now, lambda url: url.startswith("http://127.0.0.1"), TRUST)


def test_all_arrives_in_chunks(server: UploadServer, uploader: Uploader) -> None:
    assert uploader.report(server.url, REPORT) == 0
    uploader.send(server.url + "/", "request-1", CONTENT, 0)
    assert server.is_whole()
    assert [method for method, _ in server.asked] == ["PUT", "PATCH", "PATCH", "PATCH"]
    assert uploader.report(server.url, REPORT) == len(CONTENT)
    uploader.send(server.url, "request-1", CONTENT, len(CONTENT))
    assert len(server.asked) == 5


def test_a_line_that_breaks_costs_one_chunk(server: UploadServer, uploader: Uploader) -> None:
    uploader.report(server.url, REPORT)
    server.faults = [0]
    with pytest.raises(LaterError):
        uploader.send(server.url, "request-1", CONTENT, 0)
    uploader.send(server.url, "request-1", CONTENT[: 2**18], 0)
    assert uploader.report(server.url, REPORT) == 2**18
    uploader.send(server.url, "request-1", CONTENT, 0)  # the server says from where: 409
    assert server.is_whole()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, UnknownRequestError), (410, EndedError), (401, LaterError), (413, LaterError),
        (422, LaterError), (500, LaterError), (503, LaterError), (507, LaterError),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(
    server: UploadServer, uploader: Uploader, status: int, error: type[Exception]
) -> None:
    for ask in (
        lambda: uploader.report(server.url, REPORT),
        lambda: uploader.send(server.url, "request-1", CONTENT, 0),
    ):
        server.faults = [status, status]
        with pytest.raises(error) as refused:
            ask()
        if isinstance(refused.value, LaterError):
            assert refused.value.retry_after_s == (0.1 if status == 503 else 0)


def test_a_clock_that_is_wrong_is_no_hindrance(server: UploadServer, uploader: Uploader) -> None:
    server.ahead = timedelta(days=400)
    assert uploader.report(server.url, REPORT) == 0
    uploader.send(server.url, "request-1", CONTENT, 0)
    assert server.is_whole()
    assert [method for method, _ in server.asked][:2] == ["PUT", "PUT"]


def test_nothing_goes_over_a_wire_in_the_clear(uploader: Uploader) -> None:
    with pytest.raises(LaterError, match="HTTPS"):
        uploader.report("http://192.0.2.1", REPORT)


def test_a_server_that_is_away_is_tried_later(uploader: Uploader) -> None:
    for url in ("http://127.0.0.1:9", "http://127.0.0.1:port"):
        with pytest.raises(LaterError):
            uploader.report(url, REPORT)


def test_the_agents_end_ends_an_upload(server: UploadServer, uploader: Uploader) -> None:
    uploader.report(server.url, REPORT)
    uploader.stop()
    with pytest.raises(LaterError, match="stopping"):
        uploader.send(server.url, "request-1", CONTENT, 0)
