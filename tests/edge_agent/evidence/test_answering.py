"""A request for pictures from command to upload, with all that can be missing; and in silence."""

import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import av
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey

from edge_agent.delivery.files import write_whole
from edge_agent.evidence.answering import EvidenceAnswers
from edge_agent.evidence.clip import Retoucher
from edge_agent.evidence.data_keys import DataKeys
from edge_agent.evidence.orders import OrderBook
from edge_agent.evidence.ring import Ring, RingLimits
from edge_agent.evidence.segment_file import encrypt
from edge_agent.evidence.segments import mux
from edge_agent.evidence.upload import Uploader
from edge_agent.vision.privacy import Privacy
from event_protocol.evidence import (
    EvidenceKind,
    EvidenceReport,
    ReportStatus,
    Span,
    Unavailable,
)
from event_protocol.messages import HandedKey, SendClip
from event_protocol.names import DeskId, DeviceId
from event_protocol.sealing import sealing_key_id
from tests.edge_agent.evidence.streams import draw_stream
from tests.processes.ports import wait_until
from tests.processes.upload_server import UploadServer

DEVICE = DeviceId("box-1")
DESK = DeskId("desk-1")
KEY = Ed25519PrivateKey.generate()
SERVER = PrivateKey.generate()
HELD = {sealing_key_id(bytes(SERVER.public_key)): bytes(SERVER)}


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a real server under test shares the machine's clock


START = now().replace(microsecond=0) - timedelta(hours=1)
PIECES = [(p.begin, mux(p)) for p in draw_stream("mjpeg", 10).pieces()]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Box:
    """One agent's evidence, without cameras: its ring is filled by hand."""

    def __init__(self, folder: Path, max_bytes: int = 10**9) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.settled_until = at(10**5)
        self.boot()

    def boot(self, chunk_bytes: int = 2**18) -> None:
        """Everything anew from the disk, and impatient."""
        limits = RingLimits(self.max_bytes, timedelta(days=1), 0)
        self.ring = Ring(self.folder / "ring", limits, write_whole)
        self.keys = DataKeys(DEVICE, lambda: bytes(SERVER.public_key))
        self.orders = OrderBook(self.folder / "orders", self.ring, self.camera_of, write_whole)
        uploader = Uploader(DEVICE, KEY, now, lambda _: True, chunk_bytes)
        self.answers = EvidenceAnswers(
            DEVICE,
            self.ring,
            self.orders,
            self,
            uploader,
            now,
            max_clip_bytes=10**7,
            first_retry_s=0.05,
            settle_s=0.02,
        )
        self.answers.start()

    def record(self, first: int, last: int, camera: str = "room") -> None:
        """Ten seconds each, all with the same picture."""
        for number in range(first, last):
            begin, end = at(10 * number), at(10 * number + 10)
            key = self.keys.key_for(camera, begin, end)
            self.ring.add(camera, begin, end, encrypt(PIECES[0][1], camera, begin, end, key))

    def take(self, command: SendClip) -> None:
        self.orders.take(command)
        self.answers.wake()

    def camera_of(self, desk: DeskId) -> str | None:
        return {DESK: "room"}.get(desk)

    def settle(self, camera: str, when: datetime) -> bool:
        return camera == "room" and self.settled_until > when

    def make_retoucher(self, _camera: str) -> Retoucher:
        return Privacy([], None)


@pytest.fixture
def server() -> Iterator[UploadServer]:
    with UploadServer(KEY.public_key().public_bytes_raw(), HELD) as running:
        yield running


@pytest.fixture
def box(tmp_path: Path, server: UploadServer, caplog: pytest.LogCaptureFixture) -> Iterator[Box]:
    """Its log stays empty, whatever is asked of it."""
    caplog.set_level(logging.WARNING)  # as `configure_logs` sets it
    with structlog.testing.capture_logs() as said:
        running = Box(tmp_path)
        yield running
        running.answers.stop()
    assert said == []
    assert caplog.messages == []


def ask(
    server: UploadServer,
    first_s: float,
    last_s: float,
    *,
    kind: EvidenceKind = EvidenceKind.CLIP,
    desk: DeskId = DESK,
    max_bytes: int = 10**7,
    hold: bool = False,
) -> SendClip:
    return SendClip(
        request_id="request-1",
        evidence=kind,
        desk=desk,
        begin=at(first_s),
        end=at(last_s),
        expires=at(10**5),
        max_bytes=max_bytes,
        server_url=server.url,
        hold=hold,
    )


def hand_keys_to(box: Box, server: UploadServer, command: SendClip) -> None:
    """As the server does: the command again, with the keys that the report asked for."""

    def hand(report: EvidenceReport, keys: tuple[HandedKey, ...]) -> None:
        box.take(command.model_copy(update={"boot_key": report.boot_key, "keys": keys}))

    server.on_keys_wanted = hand


def answer_of(box: Box, server: UploadServer, command: SendClip) -> EvidenceReport:
    """Order it and see it through; returns the last report."""
    hand_keys_to(box, server, command)
    box.take(command)
    wait_until(lambda: not box.orders.list_open(), 20, "an answer")
    return server.reports[-1]


def content_of(server: UploadServer, report: EvidenceReport) -> bytes:
    assert report.content is not None
    assert server.is_whole()
    content = bytes(server.received[report.content.sha256])
    assert len(content) == report.content.size
    return content


def last_second(clip: bytes) -> float:
    with av.open(io.BytesIO(clip), "r") as container:
        return [frame.time or 0.0 for frame in container.decode(video=0)][-1]


def span(first_s: float, last_s: float) -> Span:
    return Span(begin=at(first_s), end=at(last_s))


def test_a_clip_arrives_with_the_servers_keys_alone(box: Box, server: UploadServer) -> None:
    box.record(0, 4)
    report = answer_of(box, server, ask(server, 5, 25))
    wanted = server.last(ReportStatus.NEEDS_KEYS)
    assert wanted is not None
    assert len(wanted.sealed_keys) == 1  # of ten minutes
    assert (report.status, report.reason) == (ReportStatus.SENT, None)
    assert (report.camera, report.covered) == ("room", (span(5, 25),))
    assert last_second(content_of(server, report)) == pytest.approx(20, abs=0.3)
    assert not list((box.folder / "orders").iterdir())


def test_a_snapshot_is_one_picture(box: Box, server: UploadServer) -> None:
    box.record(0, 2)
    report = answer_of(box, server, ask(server, 5, 15, kind=EvidenceKind.SNAPSHOT))
    assert (report.status, report.reason) == (ReportStatus.SENT, None)
    assert report.content is not None
    assert report.content.media_type == "image/jpeg"
    assert content_of(server, report).startswith(b"\xff\xd8\xff")


def test_a_restart_between_any_two_steps_loses_nothing(box: Box, server: UploadServer) -> None:
    box.record(0, 6)
    command = ask(server, 0, 60)
    box.take(command)  # the server hands out no keys yet
    wait_until(lambda: server.reports, what="a report")
    box.answers.stop()
    box.boot()
    hand_keys_to(box, server, command)
    wait_until(lambda: server.is_whole(), 20, "the clip")
    first = server.last(ReportStatus.SENT)
    boots = {r.boot_key for r in server.reports if r.status is ReportStatus.NEEDS_KEYS}
    assert len(boots) == 2
    # Once more from the beginning, as after a lost answer: the same bytes, so nothing is sent.
    box.answers.stop()
    box.boot()
    asked = len([1 for method, _ in server.asked if method == "PATCH"])
    again = answer_of(box, server, command)
    assert first is not None
    assert again.content == first.content
    assert len([1 for method, _ in server.asked if method == "PATCH"]) == asked


def test_an_upload_goes_on_where_the_line_broke(box: Box, server: UploadServer) -> None:
    box.answers.stop()
    box.boot(chunk_bytes=1000)
    box.record(0, 2)
    command = ask(server, 0, 20)
    hand_keys_to(box, server, command)
    breaks = iter([0, 503, 0])
    box.take(command)
    for status in breaks:
        wanted = len(server.asked) + 3
        wait_until(partial(server.was_asked, wanted), 20, "chunks")
        server.faults.append(status)
    wait_until(lambda: not box.orders.list_open(), 20, "the clip")
    report = server.reports[-1]
    assert last_second(content_of(server, report)) == pytest.approx(20, abs=0.3)
    sent = [offset for method, offset in server.asked if method == "PATCH" and offset is not None]
    assert sorted(set(sent)) == list(range(0, max(sent) + 1, 1000))
    assert len(sent) <= len(set(sent)) + 3


@pytest.mark.parametrize(
    ("reason", "desk"),
    [
        (Unavailable.UNKNOWN_CAMERA, DeskId("desk-9")),
        (Unavailable.NOT_COVERED, DESK),
        (Unavailable.CAMERA_OFF, DESK),
        (Unavailable.DISK_FULL, DESK),
        (Unavailable.OVERWRITTEN, DESK),
    ],
)
def test_what_was_never_kept_is_said_with_its_reason(
    box: Box, server: UploadServer, reason: Unavailable, desk: DeskId
) -> None:
    if reason in (Unavailable.CAMERA_OFF, Unavailable.DISK_FULL, Unavailable.OVERWRITTEN):
        box.ring.note_gap("room", at(0), at(30), reason)
    report = answer_of(box, server, ask(server, 5, 25, desk=desk))
    assert (report.status, report.reason) == (ReportStatus.UNAVAILABLE, reason)
    assert (report.content, report.covered) == (None, ())


def test_what_is_there_in_part_is_sent_with_the_parts_named(box: Box, server: UploadServer) -> None:
    box.record(0, 1)
    box.ring.note_gap("room", at(10), at(30), Unavailable.CAMERA_OFF)
    box.record(3, 4)
    report = answer_of(box, server, ask(server, 5, 45))
    assert (report.status, report.reason) == (ReportStatus.SENT, Unavailable.CAMERA_OFF)
    assert report.covered == (span(5, 10), span(30, 40))
    assert last_second(content_of(server, report)) == pytest.approx(35, abs=0.3)


def test_the_ring_goes_over_what_nobody_asked_for(tmp_path: Path, server: UploadServer) -> None:
    box = Box(tmp_path, max_bytes=4 * len(PIECES[0][1]) + 4000)
    box.record(0, 8)
    report = answer_of(box, server, ask(server, 5, 25))
    box.answers.stop()
    assert (report.status, report.reason) == (ReportStatus.UNAVAILABLE, Unavailable.OVERWRITTEN)


def test_a_key_that_nobody_holds_any_more_is_said(box: Box, server: UploadServer) -> None:
    box.record(0, 2)
    command = ask(server, 0, 10)

    def hand_nothing(report: EvidenceReport, _keys: tuple[HandedKey, ...]) -> None:
        box.take(command.model_copy(update={"boot_key": report.boot_key}))

    server.on_keys_wanted = hand_nothing
    box.take(command)
    wait_until(lambda: not box.orders.list_open(), 20, "an answer")
    last = server.reports[-1]
    assert (last.status, last.reason) == (ReportStatus.UNAVAILABLE, Unavailable.KEYS_LOST)


def test_damaged_segments_are_said(box: Box, server: UploadServer) -> None:
    box.record(0, 3)
    for number, entry in enumerate(box.ring.list_segments("room", span(0, 29))):
        path = box.folder / "ring" / "room" / entry.name
        content = bytearray(path.read_bytes())
        content[20 if number else -1] ^= 1  # its head, or its last byte
        path.write_bytes(content)
    report = answer_of(box, server, ask(server, 0, 29))
    assert (report.status, report.reason) == (ReportStatus.UNAVAILABLE, Unavailable.UNREADABLE)


def test_more_than_the_server_takes_is_not_sent(box: Box, server: UploadServer) -> None:
    box.record(0, 3)
    report = answer_of(box, server, ask(server, 0, 29, max_bytes=2000))
    assert (report.status, report.reason) == (ReportStatus.UNAVAILABLE, Unavailable.TOO_LARGE)


def test_a_span_is_held_as_long_as_the_server_says(tmp_path: Path, server: UploadServer) -> None:
    box = Box(tmp_path, max_bytes=4 * len(PIECES[0][1]) + 4000)
    box.record(0, 3)
    held = ask(server, 5, 15, hold=True)
    report = answer_of(box, server, held)
    assert (report.status, report.held) == (ReportStatus.SENT, True)
    box.answers.stop()
    box.boot()
    box.record(3, 9)
    kept = [(e.begin - START).total_seconds() for e in box.ring.list_segments("room", span(0, 99))]
    assert kept == [0, 10, 70, 80]
    assert not box.orders.list_open()
    server.ended.add(held.request_id)  # it has all it wanted; the hold's end is heard all the same
    report = answer_of(box, server, held.model_copy(update={"hold": False}))
    box.answers.stop()
    assert report.held is False
    box.record(9, 12)
    kept = [(e.begin - START).total_seconds() for e in box.ring.list_segments("room", span(0, 999))]
    assert kept == [80, 90, 100, 110]
    assert not list((tmp_path / "orders").iterdir())


def test_what_is_still_being_recorded_is_waited_for(box: Box, server: UploadServer) -> None:
    box.settled_until = at(20)
    box.record(0, 2)
    command = ask(server, 5, 25)
    hand_keys_to(box, server, command)
    box.take(command)
    box.record(2, 3)
    assert server.asked == []
    box.settled_until = at(30)
    wait_until(lambda: not box.orders.list_open(), 20, "the clip")
    assert server.reports[-1].covered == (span(5, 25),)


def test_what_nobody_wants_any_more_is_forgotten(box: Box, server: UploadServer) -> None:
    box.record(0, 1)
    server.faults = [404]
    box.take(ask(server, 0, 9))
    wait_until(lambda: not box.orders.list_open(), 20, "forgotten")
    late = ask(server, 0, 9).model_copy(update={"expires": now() - timedelta(seconds=1)})
    box.take(late)
    wait_until(lambda: not box.orders.list_open(), 20, "given up")
    assert [method for method, _ in server.asked] == ["PUT"]
    assert not list((box.folder / "orders").iterdir())


def test_orders_of_another_version_are_left_to_the_server(box: Box, server: UploadServer) -> None:
    (box.folder / "orders" / "odd.json").write_text('{"command": {}, "later": 1}')
    box.answers.stop()
    box.boot()
    assert box.orders.list_open() == []
    box.record(0, 1)
    assert answer_of(box, server, ask(server, 0, 9)).status is ReportStatus.SENT


def test_nothing_of_a_recording_or_its_keys_is_readable_on_the_disk(
    box: Box, server: UploadServer
) -> None:
    box.record(0, 2)
    answer_of(box, server, ask(server, 0, 19, hold=True))
    key = box.keys.key_for("room", at(0), at(10)).key
    for path in box.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (b"ftyp", b"mdat", PIECES[0][1][100:140], key, key.hex().encode()):
                assert secret not in content, path


def test_a_command_that_ends_before_it_begins_is_answered(box: Box, server: UploadServer) -> None:
    box.record(0, 2)
    report = answer_of(box, server, ask(server, 15, 5))
    assert report.status is ReportStatus.SENT
