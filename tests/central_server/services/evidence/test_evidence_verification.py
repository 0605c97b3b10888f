"""Whoever changes pictures on the disk, or the report about them, is found."""

from pathlib import Path

import pytest

from central_server.domain.permissions import FlagScope, UnitId, everywhere
from central_server.domain.server_log import DevicePaired
from central_server.services import evidence, evidence_commands, evidence_uploads
from central_server.services.context import ServerContext
from central_server.services.evidence_verification import verify_pictures
from central_server.storage import server_log
from central_server.storage.unit_of_work import Database
from event_protocol.canonical import sha256_hex
from event_protocol.evidence import EvidenceKind
from tests.central_server.evidence_box import Box, make_clip
from tests.central_server.factories import Clock, make_context
from tests.factories import NOW, add_province, make_id

CLIP = make_clip()
SCOPE = FlagScope(everywhere([UnitId("commune-a")]), inspection=True)


@pytest.fixture
def server(database: Database, tmp_path: Path) -> ServerContext:
    """A server that has received one clip of a box that was paired before."""
    with database.transaction() as db:
        add_province(db)
    context = make_context(database, tmp_path, Clock(NOW), evidence={"reserve_mb": 0})
    box = Box(context, "device-commune-a")
    with database.transaction() as db:
        paired = DevicePaired(device=box.device, public_key=box.public_key.hex())
        server_log.append(db, paired, at=NOW)
    flag = make_id("wait-commune-a")
    row = evidence.ask(context, SCOPE, flag, EvidenceKind.CLIP, by="an", reason="chờ lâu")
    payload = box.sign(box.report(row, CLIP))
    evidence_uploads.take_report(context, box.caller(), row.request_id, payload)
    evidence_uploads.take_chunk(context, box.caller(0), row.request_id, CLIP)
    return context


def found(server: ServerContext) -> list[str]:
    with server.database.reading() as db:
        return [one.what for one in verify_pictures(db, evidence.files_of(server))]


def test_untouched_pictures_are_what_was_received(server: ServerContext) -> None:
    assert found(server) == []
    Box(server, "device-commune-a")  # paired anew since: the old key's mark stays good
    assert found(server) == []


def test_a_changed_and_a_missing_file_are_named(server: ServerContext) -> None:
    path = evidence.files_of(server).path_of(sha256_hex(CLIP))
    path.write_bytes(CLIP[:-1] + b"\x00")
    assert found(server) == ["the pictures are not those that were received"]
    path.unlink()
    assert found(server) == ["the pictures are not on the disk"]


def test_what_was_erased_by_its_age_is_not_missed(
    server: ServerContext, database: Database, tmp_path: Path
) -> None:
    later = make_context(database, tmp_path, Clock(NOW.replace(year=NOW.year + 1)))
    evidence_commands.erase_outdated(later)
    assert not evidence.files_of(server).has(sha256_hex(CLIP))
    assert found(server) == []


def test_a_report_that_no_known_key_signed_is_named(server: ServerContext) -> None:
    statement = "the pictures' report is not signed by the device"
    Box(server, "device-commune-b")
    with server.database.reading() as db:
        [entry] = [
            logged.entry
            for logged in server_log.read_after(db, 0)
            if logged.entry.type == "evidence.received"
        ]
    forged = entry.model_copy(update={"report": {**entry.report, "held": True}})
    with server.database.transaction() as db:
        server_log.append(db, forged, at=NOW)
    assert found(server) == [statement]
