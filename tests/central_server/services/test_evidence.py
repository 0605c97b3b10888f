"""Pictures from asking to viewing: what each step leaves on record, and that this is enough."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from nacl.public import PrivateKey
from sqlalchemy import select as core_select
from sqlmodel import select

from central_server.domain import evidence as evidence_domain
from central_server.domain.errors import (
    ConflictError,
    GoneError,
    InvalidError,
    NotFoundError,
    NotLoggedInError,
    NotOpenedError,
)
from central_server.domain.permissions import FlagScope, UnitId, everywhere
from central_server.services import evidence, evidence_pages, evidence_uploads, rebuild
from central_server.services.context import ServerContext
from central_server.storage import evidence as evidence_store
from central_server.storage.evidence_files import WrongOffsetError
from central_server.storage.evidence_tables import EvidenceHistoryRow, EvidenceRequestRow
from central_server.storage.tables import DeviceRow, FlagRow, ServerLogRow, table_of
from central_server.storage.unit_of_work import Database
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
from tests.central_server.evidence_box import Box, make_clip, make_snapshot
from tests.central_server.factories import Clock, make_context
from tests.factories import NOW, add_province, make_id

SCOPE = everywhere([UnitId("commune-a")])
FLAGS = FlagScope(SCOPE, inspection=True)
FLAG = make_id("wait-commune-a")
CLIP = make_clip()
WHY = "xem lại việc chờ lâu"
ARRIVED = NOW - timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def make_server(database: Database, folder: Path, clock: Clock) -> ServerContext:
    with database.transaction() as db:
        add_province(db)
    return make_context(database, folder, clock, evidence={"reserve_mb": 0})


@pytest.fixture
def server(database: Database, tmp_path: Path, clock: Clock) -> ServerContext:
    return make_server(database, tmp_path, clock)


@pytest.fixture
def box(server: ServerContext) -> Box:
    return Box(server, "device-commune-a")


def ask(
    server: ServerContext, kind: EvidenceKind = EvidenceKind.CLIP, flag: str = FLAG
) -> EvidenceRequestRow:
    return evidence.ask(server, FLAGS, flag, kind, by="an", reason=WHY)


def report(
    server: ServerContext, box: Box, row: EvidenceRequestRow, *args: Any, **said: Any
) -> int:
    payload = box.sign(box.report(row, *args, **said))
    return evidence_uploads.take_report(server, box.caller(), row.request_id, payload)


def send(server: ServerContext, box: Box, row: EvidenceRequestRow, content: bytes) -> int:
    offset = report(server, box, row, content)
    while offset < len(content):
        part = content[offset : offset + 1000]
        offset = evidence_uploads.take_chunk(server, box.caller(offset), row.request_id, part)
    return offset


def current(server: ServerContext, row: EvidenceRequestRow) -> evidence_pages.RequestView:
    return evidence_pages.read_request(server, SCOPE, row.request_id, "an")


def derived(server: ServerContext) -> list[Any]:
    tables = table_of(EvidenceRequestRow), table_of(EvidenceHistoryRow)
    with server.database.reading() as db:
        read = db.connection().execute
        return [
            [tuple(row) for row in read(core_select(table).order_by(*table.primary_key))]
            for table in tables
        ]


def types(server: ServerContext) -> list[str]:
    with server.database.reading() as db:
        return list(db.exec(select(ServerLogRow.type).order_by(ServerLogRow.sequence)))  # type: ignore[arg-type]  # a column


def test_from_asking_to_viewing_and_the_log_tells_it_all(
    any_database: Database, tmp_path: Path, clock: Clock
) -> None:
    server = make_server(any_database, tmp_path, clock)
    box, row = Box(server, "device-commune-a"), ask(server)
    assert (row.begin, row.end) == (
        ARRIVED - timedelta(seconds=5),
        ARRIVED + timedelta(minutes=12, seconds=5),
    )
    assert send(server, box, row, CLIP) == len(CLIP)
    with pytest.raises(NotOpenedError):
        evidence.content_of(server, SCOPE, row.request_id, "an")
    evidence.open_pictures(server, SCOPE, row.request_id, by="an", reason=WHY)
    _, path = evidence.content_of(server, SCOPE, row.request_id, "an")
    assert path.read_bytes() == CLIP
    with pytest.raises(NotOpenedError):
        evidence.content_of(server, SCOPE, row.request_id, "binh")
    view = current(server, row)
    assert (view.phase, view.request.sha256, view.missing) == ("received", sha256_hex(CLIP), [])
    assert [(done.type, done.by, done.reason) for done in view.history] == [
        ("evidence.asked", "an", WHY),
        ("evidence.received", None, None),
        ("evidence.viewed", "an", WHY),
    ]
    before = derived(server)
    rebuild.rebuild(server)
    assert derived(server) == before


def test_an_opened_clip_closes_after_an_hour(server: ServerContext, box: Box, clock: Clock) -> None:
    row = ask(server)
    send(server, box, row, CLIP)
    evidence.open_pictures(server, SCOPE, row.request_id, by="an", reason=WHY)
    clock.advance(3601)
    assert not current(server, row).is_open
    with pytest.raises(NotOpenedError):
        evidence.content_of(server, SCOPE, row.request_id, "an")


def test_a_snapshot_likewise(server: ServerContext, box: Box) -> None:
    row = ask(server, EvidenceKind.SNAPSHOT)
    taken = Span(begin=ARRIVED, end=ARRIVED)
    picture = make_snapshot()
    assert report(server, box, row, picture, covered=(taken,)) == 0
    evidence_uploads.take_chunk(server, box.caller(0), row.request_id, picture)
    view = current(server, row)
    assert (view.phase, view.missing, view.covered) == ("received", (), [taken])


def test_one_request_of_a_kind_at_a_time(server: ServerContext, box: Box) -> None:
    row = ask(server)
    with pytest.raises(ConflictError):
        ask(server)
    ask(server, EvidenceKind.SNAPSHOT)
    report(server, box, row, reason=Unavailable.OVERWRITTEN)
    assert ask(server).request_id != row.request_id


def test_nobody_asks_outside_the_scope_or_where_no_camera_sees(server: ServerContext) -> None:
    with pytest.raises(NotFoundError):
        ask(server, flag=make_id("wait-commune-b"))
    with pytest.raises(ConflictError):
        ask(server, flag=make_id("gap-commune-a"))  # about a device, not a desk
    with pytest.raises(InvalidError):
        evidence.ask(server, FLAGS, FLAG, EvidenceKind.CLIP, by="an", reason="  ")


def test_a_complaint_made_by_phone_is_asked_of_the_box_at_the_desk(server: ServerContext) -> None:
    complaint = make_id("complaint-commune-a")
    with server.database.transaction() as db:
        flag = db.get_one(FlagRow, complaint)
        flag.device = flag.session_id = None
        db.add(flag)
    row = ask(server, flag=complaint)
    # Its time is known to the quarter of an hour.
    quarter = timedelta(minutes=15)
    assert (row.device, row.begin, row.end) == (
        "device-commune-a",
        flag.begin - evidence_domain.MARGIN,
        flag.begin + quarter + evidence_domain.MARGIN,
    )


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


def _signed(server: ServerContext, box: Box, at: datetime) -> evidence_uploads.Caller:
    headers = make_request(DeviceId(box.device), "HEAD", "/x", at).headers(box.key)
    return evidence_uploads.authenticate(server, "HEAD", "/x", headers, b"")


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
        evidence_uploads.authenticate(server, "HEAD", "/x", {}, b"")


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


def test_a_hold_is_set_and_lifted_once_and_stays_through_a_rebuild(
    server: ServerContext, box: Box
) -> None:
    row = ask(server)
    for held in (True, False, True):
        said: dict[str, Any] = {"by": "an", "reason": WHY, "held": held}
        assert evidence.set_hold(server, SCOPE, row.request_id, **said).held is held
        with pytest.raises(ConflictError):
            evidence.set_hold(server, SCOPE, row.request_id, **said)
    before = derived(server)
    rebuild.rebuild(server)
    assert derived(server) == before
    assert current(server, row).request.held


def test_a_lost_file_is_said(server: ServerContext, box: Box) -> None:
    row = ask(server)
    send(server, box, row, CLIP)
    evidence.open_pictures(server, SCOPE, row.request_id, by="an", reason=WHY)
    evidence.files_of(server).erase(sha256_hex(CLIP))
    with pytest.raises(InvalidError) as lost:
        evidence.content_of(server, SCOPE, row.request_id, "an")
    assert lost.value.code == "error.evidence_lost"


def test_what_is_not_here_is_not_opened(server: ServerContext) -> None:
    row = ask(server)
    with pytest.raises(ConflictError):
        evidence.open_pictures(server, SCOPE, row.request_id, by="an", reason=WHY)
    with pytest.raises(ConflictError):
        evidence.content_of(server, SCOPE, row.request_id, "an")
    assert "evidence.viewed" not in types(server)
