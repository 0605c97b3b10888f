"""A box's reports, chunks and keys: what is taken and what refused; repeats harm nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from nacl.public import PrivateKey

from central_server.domain.errors import (
    GoneError,
    InvalidError,
    NotFoundError,
    NotLoggedInError,
)
from central_server.services import device_requests, evidence, evidence_uploads
from central_server.services.context import ServerContext
from central_server.storage import evidence as evidence_store
from central_server.storage.evidence_files import WrongOffsetError
from central_server.storage.evidence_tables import EvidenceRequestRow
from central_server.storage.tables import DeviceRow
from event_protocol.canonical import sha256_hex
from event_protocol.evidence import (
    CLOCK_TOLERANCE,
    Content,
    EvidenceKind,
    ReportStatus,
    SealedKey,
    Span,
    Unavailable,
    make_request,
)
from event_protocol.evidence_keys import KEY_LIFETIME, DataKey, seal_key, take_back
from event_protocol.messages import HandedKey
from event_protocol.names import DeviceId
from tests.central_server.evidence_box import Box, make_clip
from tests.central_server.services.evidence.steps import (
    ARRIVED,
    CLIP,
    ask,
    current,
    report,
    send,
    types,
)
from tests.factories import NOW


def test_what_can_t_be_had_says_why_and_what_there_is(server: ServerContext, box: Box) -> None:
    row = ask(server)
    part = Span(begin=ARRIVED, end=ARRIVED + timedelta(seconds=30))
    for _ in range(2):  # a repeat changes nothing
        assert report(server, box, row, reason=Unavailable.CAMERA_OFF, covered=(part,)) == 0
    view = current(server, row)
    assert (view.phase, view.request.reason, view.covered) == ("unavailable", "camera_off", [part])
    assert [(one.begin, one.end) for one in view.missing] == [
        (row.begin, part.begin),
        (part.end, row.end),
    ]
    assert types(server).count("evidence.unavailable") == 1
    with pytest.raises(GoneError):
        report(server, box, row, CLIP)


def test_an_upload_is_resumed_where_it_was_and_repeats_harm_nothing(
    server: ServerContext, box: Box
) -> None:
    row = ask(server)
    report(server, box, row, CLIP)
    evidence_uploads.take_chunk(server, box.caller(0), row.request_id, CLIP[:1000])
    view = current(server, row)
    assert (view.phase, view.arrived, view.expected) == ("under_way", 1000, len(CLIP))
    assert evidence_uploads.offset_of(server, box.caller(), row.request_id) == 1000
    with pytest.raises(WrongOffsetError) as refused:
        evidence_uploads.take_chunk(server, box.caller(0), row.request_id, CLIP[:1000])
    assert refused.value.offset == 1000
    assert send(server, box, row, CLIP) == len(CLIP)
    assert send(server, box, row, CLIP) == len(CLIP)
    assert evidence_uploads.offset_of(server, box.caller(), row.request_id) == len(CLIP)
    assert types(server).count("evidence.received") == 1
    with pytest.raises(GoneError):
        report(server, box, row, make_clip(1))


def test_what_a_kill_left_whole_but_unrecorded_is_found_again(
    server: ServerContext, box: Box
) -> None:
    row = ask(server)
    report(server, box, row, CLIP)
    files, sha256 = evidence.files_of(server), sha256_hex(CLIP)
    files.append(row.request_id, sha256, 0, CLIP)  # killed before the check
    assert evidence_uploads.offset_of(server, box.caller(), row.request_id) == len(CLIP)
    assert current(server, row).phase == "received"
    second = ask(server)
    files.append(second.request_id, sha256, 0, CLIP)  # killed after the move
    files.keep(second.request_id, sha256)
    assert report(server, box, second, CLIP) == len(CLIP)
    assert current(server, second).phase == "received"


def test_another_cut_of_the_clip_begins_anew(server: ServerContext, box: Box) -> None:
    row = ask(server)
    report(server, box, row, CLIP)
    evidence_uploads.take_chunk(server, box.caller(0), row.request_id, CLIP[:1000])
    assert send(server, box, row, make_clip(1)) == len(make_clip(1))
    assert current(server, row).request.sha256 == sha256_hex(make_clip(1))


@pytest.mark.parametrize(
    ("content", "promised", "fault"),
    [(CLIP[:-1] + b"\x00", sha256_hex(CLIP), "hash"), (b"<html>" * 99, None, "media_type")],
)
def test_what_is_not_as_promised_is_refused_and_said(
    server: ServerContext, box: Box, content: bytes, promised: str | None, fault: str
) -> None:
    row = ask(server)
    said = Content(
        sha256=promised or sha256_hex(content), size=len(content), media_type="video/mp4"
    )
    report(server, box, row, content, content=said)
    with pytest.raises(InvalidError) as refused:
        evidence_uploads.take_chunk(server, box.caller(0), row.request_id, content)
    assert refused.value.code == f"error.evidence_{fault}"
    view = current(server, row)
    assert (view.phase, view.arrived, view.history[-1].type) == (
        "under_way",
        0,
        "evidence.refused",
    )
    assert send(server, box, row, CLIP) == len(CLIP)


def test_more_or_else_than_was_asked_for_is_refused(server: ServerContext, box: Box) -> None:
    row = ask(server)
    with pytest.raises(InvalidError):
        evidence_uploads.take_chunk(server, box.caller(0), row.request_id, CLIP)  # unannounced
    big = Content(sha256="ab" * 32, size=201 * 10**6, media_type="video/mp4")
    page = Content(sha256="ab" * 32, size=10, media_type="text/html")
    wrong: list[dict[str, Any]] = [
        {"content": big},
        {"content": page},
        {"kind": EvidenceKind.SNAPSHOT},
        {"request_id": str(uuid4())},
        {"device": "device-commune-b"},
    ]
    for said in wrong:
        with pytest.raises(InvalidError):
            report(server, box, row, CLIP, **said)
    report(server, box, row, CLIP)
    with pytest.raises(InvalidError):
        evidence_uploads.take_chunk(server, box.caller(0), row.request_id, CLIP + b"more")


def test_another_box_s_request_does_not_exist(server: ServerContext, box: Box) -> None:
    row = ask(server)
    other = Box(server, "device-commune-b")
    steps: list[Callable[[], int]] = [
        lambda: report(server, other, row, CLIP),
        lambda: evidence_uploads.offset_of(server, other.caller(), row.request_id),
        lambda: evidence_uploads.take_chunk(server, other.caller(0), row.request_id, CLIP),
    ]
    for step in steps:
        with pytest.raises(NotFoundError):
            step()


def _signed(server: ServerContext, box: Box, at: datetime) -> device_requests.Caller:
    headers = make_request(DeviceId(box.device), "HEAD", "/x", at).headers(box.key)
    return device_requests.authenticate(server, "HEAD", "/x", headers, b"")


def test_only_a_paired_box_with_a_right_clock_gets_in(server: ServerContext, box: Box) -> None:
    assert _signed(server, box, NOW) == box.caller()
    for off in (CLOCK_TOLERANCE, -CLOCK_TOLERANCE):
        with pytest.raises(NotLoggedInError):
            _signed(server, box, NOW + 1.01 * off)
    thief = Box(server, "device-commune-a")
    with pytest.raises(NotLoggedInError):
        _signed(server, box, NOW)  # paired anew since
    with server.database.transaction() as db:
        row = db.get_one(DeviceRow, "device-commune-a")
        row.revoked_at = NOW
        db.add(row)
    with pytest.raises(NotLoggedInError):
        _signed(server, thief, NOW)
    with pytest.raises(NotLoggedInError):
        device_requests.authenticate(server, "HEAD", "/x", {}, b"")


BOOT = PrivateKey(b"b" * 32)


def sealed(server: ServerContext, name: str, **changes: Any) -> SealedKey:
    made = {"device": "device-commune-a", "camera": "ceiling", "since": ARRIVED, "key": "0f" * 32}
    key = DataKey.model_validate(made | changes)
    return SealedKey(key_id=name, sealed=seal_key(key, server.keys.sealing_public))


def ask_for_keys(
    server: ServerContext, box: Box, row: EvidenceRequestRow, *keys: SealedKey
) -> list[HandedKey]:
    needs = {"boot_key": bytes(BOOT.public_key).hex(), "sealed_keys": keys}
    report(server, box, row, status=ReportStatus.NEEDS_KEYS, **needs)
    with server.database.reading() as db:
        transfer = evidence_store.find_transfer(db, row.request_id)
        return [HandedKey.model_validate(key) for key in transfer.keys] if transfer else []


def test_a_box_gets_back_the_keys_of_the_span_asked_for_and_no_other(
    server: ServerContext, box: Box
) -> None:
    row = ask(server)
    keys = (
        sealed(server, "right"),
        sealed(server, "before", since=row.begin - 2 * KEY_LIFETIME),
        sealed(server, "after", since=row.end + KEY_LIFETIME),
        sealed(server, "camera", camera="door"),
        sealed(server, "device", device="device-commune-b"),
        SealedKey(key_id="broken", sealed="nonsense"),
    )
    for _ in range(2):  # what is repeated is logged once
        handed = ask_for_keys(server, box, row, *keys)
        assert [key.key_id for key in handed] == ["right"]
    assert take_back(handed[0].handed, bytes(BOOT)) == b"\x0f" * 32
    assert types(server).count("evidence.keys_handed") == 1
    send(server, box, row, CLIP)
    with pytest.raises(GoneError):
        ask_for_keys(server, box, row, keys[0])


def test_keys_that_nobody_opens_end_the_request(server: ServerContext, box: Box) -> None:
    row = ask(server)
    with pytest.raises(GoneError):
        ask_for_keys(server, box, row, SealedKey(key_id="broken", sealed="nonsense"))
    view = current(server, row)
    assert (view.phase, view.request.reason) == ("unavailable", "keys_lost")
