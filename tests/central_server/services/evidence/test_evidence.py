"""Pictures from asking to viewing: what each step leaves on record, and that this is enough."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select as core_select

from central_server.domain import evidence as evidence_domain
from central_server.domain.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    NotOpenedError,
)
from central_server.services import evidence, evidence_uploads, rebuild
from central_server.services.context import ServerContext
from central_server.storage.evidence_tables import EvidenceHistoryRow, EvidenceRequestRow
from central_server.storage.tables import FlagRow, table_of
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import sha256_hex
from event_protocol.evidence import (
    EvidenceKind,
    Span,
    Unavailable,
)
from tests.central_server.evidence_box import Box, make_snapshot
from tests.central_server.factories import Clock
from tests.central_server.services.evidence.steps import (
    ARRIVED,
    CLIP,
    FLAG,
    FLAGS,
    SCOPE,
    WHY,
    ask,
    current,
    make_server,
    report,
    send,
    types,
)
from tests.factories import make_id


def derived(server: ServerContext) -> list[Any]:
    tables = table_of(EvidenceRequestRow), table_of(EvidenceHistoryRow)
    with server.database.reading() as db:
        read = db.connection().execute
        return [
            [tuple(row) for row in read(core_select(table).order_by(*table.primary_key))]
            for table in tables
        ]


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
