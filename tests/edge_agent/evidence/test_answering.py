"""A request for pictures from command to upload, with all that can be missing; and in silence."""

from functools import partial
from pathlib import Path

import pytest

from event_protocol.evidence import EvidenceKind, EvidenceReport, ReportStatus, Unavailable
from event_protocol.messages import HandedKey
from event_protocol.names import DeskId
from tests.edge_agent.evidence.box import (
    DESK,
    PIECES,
    Box,
    answer_of,
    ask,
    at,
    content_of,
    hand_keys_to,
    last_second,
    span,
)
from tests.processes.ports import wait_until
from tests.processes.upload_server import UploadServer


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
