"""What the tests of pictures share: a flag of a province, and the steps from asking to having."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import select

from central_server.domain.permissions import FlagScope, UnitId, everywhere
from central_server.services import evidence, evidence_pages, evidence_uploads
from central_server.services.context import ServerContext
from central_server.storage.evidence_tables import EvidenceRequestRow
from central_server.storage.tables import ServerLogRow
from central_server.storage.unit_of_work import Database
from event_protocol.evidence import EvidenceKind
from tests.central_server.evidence_box import Box, make_clip
from tests.central_server.factories import Clock, make_context
from tests.factories import NOW, add_province, make_id

SCOPE = everywhere([UnitId("commune-a")])
FLAGS = FlagScope(SCOPE, inspection=True)
FLAG = make_id("wait-commune-a")
CLIP = make_clip()
WHY = "xem lại việc chờ lâu"
ARRIVED = NOW - timedelta(hours=1)


def make_server(database: Database, folder: Path, clock: Clock) -> ServerContext:
    with database.transaction() as db:
        add_province(db)
    return make_context(database, folder, clock, evidence={"reserve_mb": 0})


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


def types(server: ServerContext) -> list[str]:
    with server.database.reading() as db:
        return list(db.exec(select(ServerLogRow.type).order_by(ServerLogRow.sequence)))  # type: ignore[arg-type]  # a column
