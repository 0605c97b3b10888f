"""The devices' door for pictures: signed reports, chunks, and what follows from them.

Every step may be repeated and may die half-way: what is true is the request's state, the signed
report and the file; an upload that is whole but not yet on record is found again by any later step.
"""

from datetime import timedelta
from uuid import UUID

from sqlmodel import Session

from central_server.domain.errors import (
    GoneError,
    InvalidError,
    NotFoundError,
)
from central_server.domain.evidence import EvidenceState, is_kind
from central_server.domain.evidence_log import (
    EvidenceKeysHanded,
    EvidenceReceived,
    EvidenceRefused,
    EvidenceUnavailable,
)
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.services.device_requests import Caller
from central_server.services.evidence import files_of
from central_server.storage import evidence, server_log
from central_server.storage.evidence_files import WrongOffsetError
from central_server.storage.evidence_tables import EvidenceRequestRow, EvidenceTransferRow
from event_protocol.evidence import (
    MEDIA_TYPE_OF,
    EvidenceKind,
    EvidenceReport,
    ReportStatus,
    Span,
    decode_report,
    report_fields,
)
from event_protocol.evidence_keys import hand_back, unseal_key
from event_protocol.messages import HandedKey
from event_protocol.sealing import SealError

# A sign of work is worth a write to the database only now and then.
_HEARD_EVERY = timedelta(seconds=10)
_CODE_OF_FAULT = {"hash": "error.evidence_hash", "media_type": "error.evidence_media_type"}


def take_report(context: ServerContext, caller: Caller, request_id: str, payload: bytes) -> int:
    """What the device says it can do; returns how much of what it will send is here already.

    `GoneError` if the request is answered otherwise or over; also then the device's word on the
    hold counts.
    """
    read = decode_report(payload, caller.public_key)
    if read is None or (read[0].device, read[0].request_id) != (caller.device, request_id):
        raise InvalidError("error.evidence_report")
    report = read[0]
    with context.database.transaction() as db:
        server_log.lock(db)
        row = _require(evidence.find_of_device(db, caller.device, request_id))
        _require_fitting(context, row, report)
        transfer = evidence.find_transfer(db, request_id) or EvidenceTransferRow(
            request_id=request_id, heard_at=context.now(), report=payload
        )
        transfer.heard_at, transfer.held = context.now(), report.held
        if row.state == EvidenceState.ASKED.value:
            transfer.report = payload
            _note(db, context, row, transfer, report, read[1])
            projector.project_server_log(db, context)
        evidence.save(db, transfer)
    content = report.content
    if content is not None:
        files_of(context).discard_parts(request_id, besides=content.sha256)
        return offset_of(context, caller, request_id, content.sha256)
    if report.status is ReportStatus.NEEDS_KEYS and row.state != EvidenceState.ASKED.value:
        raise GoneError()
    return 0


def offset_of(
    context: ServerContext, caller: Caller, request_id: str, sha256: str | None = None
) -> int:
    """How much has arrived; a whole upload goes on record. `sha256`: only if that is what is sent.

    Raises `GoneError` if nothing more is wanted and `InvalidError` if what arrived is not as told.
    """
    with context.database.reading() as db:
        row = _require(evidence.find_of_device(db, caller.device, request_id))
        transfer = evidence.find_transfer(db, request_id)
    if row.state == EvidenceState.RECEIVED.value and sha256 in (None, row.sha256):
        return row.size or 0
    if row.state != EvidenceState.ASKED.value:
        raise GoneError()
    if transfer is None or transfer.sha256 is None or transfer.size is None:
        return 0
    files = files_of(context)
    if files.has(transfer.sha256):
        offset = transfer.size
    else:
        offset = files.offset_of(request_id, transfer.sha256)
    if offset == transfer.size:
        _finish(context, caller, row, transfer)
    return offset


def take_chunk(context: ServerContext, caller: Caller, request_id: str, chunk: bytes) -> int:
    """Adds the chunk and returns the new offset.

    Raises `WrongOffsetError`, `DiskFullError`, `GoneError`, and `InvalidError` if no report said
    what comes, or if more comes than it said.
    """
    reached = offset_of(context, caller, request_id)
    with context.database.reading() as db:
        transfer = evidence.find_transfer(db, request_id)
    if transfer is None or transfer.sha256 is None or transfer.size is None:
        raise InvalidError("error.evidence_report")
    offset = caller.offset
    if offset is None or offset != reached:
        raise WrongOffsetError(reached)
    if offset + len(chunk) > transfer.size:
        raise InvalidError("error.evidence_content")
    files_of(context).append(request_id, transfer.sha256, offset, chunk)
    if context.now() - transfer.heard_at >= _HEARD_EVERY:
        transfer.heard_at = context.now()
        with context.database.transaction() as db:
            evidence.save(db, db.merge(transfer))
    return offset_of(context, caller, request_id)


def _require_fitting(
    context: ServerContext, row: EvidenceRequestRow, report: EvidenceReport
) -> None:
    """Refuses a report on something else than was asked for, or on more than may be sent."""
    if report.kind != row.kind:
        raise InvalidError("error.evidence_report")
    content = report.content
    if content is not None and (
        content.size > context.settings.evidence.max_mb * 10**6
        or content.media_type != MEDIA_TYPE_OF[EvidenceKind(row.kind)]
    ):
        raise InvalidError("error.evidence_content")


def _note(
    db: Session,
    context: ServerContext,
    row: EvidenceRequestRow,
    transfer: EvidenceTransferRow,
    report: EvidenceReport,
    signature: str,
) -> None:
    """Notes what a report on a waiting request says; what ends the request goes into the log."""
    content = report.content
    transfer.sha256 = None if content is None else content.sha256
    transfer.size = None if content is None else content.size
    request_id, now = UUID(row.request_id), context.now()
    if report.status is ReportStatus.NEEDS_KEYS:
        keys = _open_keys(context, row, report)
        handed = [key.model_dump(mode="json") for key in keys]
        is_new = report.boot_key != transfer.boot_key
        transfer.boot_key, transfer.keys = report.boot_key, handed
        if keys and is_new:
            names = tuple(key.key_id for key in keys)
            entry = EvidenceKeysHanded(request_id=request_id, key_ids=names)
            server_log.append(db, entry, at=now)
        if keys:
            return
    if report.status is not ReportStatus.SENT:
        unavailable = EvidenceUnavailable(
            request_id=request_id, report=report_fields(report), signature=signature
        )
        server_log.append(db, unavailable, at=now)


def _open_keys(
    context: ServerContext, row: EvidenceRequestRow, report: EvidenceReport
) -> list[HandedKey]:
    """Those of the keys that were made for this camera and may have encrypted the span asked for.

    A box that was stolen with its identity gets no other key than an inspector's request needs.
    """
    span, boot_key = Span(begin=row.begin, end=row.end), bytes.fromhex(report.boot_key or "")
    handed = []
    for sealed in report.sealed_keys:
        try:
            key = unseal_key(sealed.sealed, context.keys.sealing)
        except SealError:
            continue
        if report.camera is not None and key.may_open(row.device, report.camera, span):
            handed.append(HandedKey(key_id=sealed.key_id, handed=hand_back(key, boot_key)))
    return handed


def _finish(
    context: ServerContext,
    caller: Caller,
    row: EvidenceRequestRow,
    transfer: EvidenceTransferRow,
) -> None:
    """All has arrived: checked against the report, moved to its place, then on record."""
    read = decode_report(transfer.report, caller.public_key)
    if read is None or read[0].content is None:  # paired anew since: the old word is nobody's
        raise InvalidError("error.evidence_report")
    report, signature = read
    signed = {"request_id": UUID(row.request_id), "report": report_fields(report)}
    content, files = read[0].content, files_of(context)
    entry: EvidenceReceived | EvidenceRefused
    entry = EvidenceReceived(**signed, signature=signature)
    if not files.has(content.sha256):
        found, head = files.inspect(row.request_id, content.sha256)
        fault = "hash" if found != content.sha256 else "media_type"
        if fault == "hash" or not is_kind(report.kind, content.media_type, head):
            entry = EvidenceRefused(
                **signed, signature=signature, fault=fault, sha256=found, size=content.size
            )
        else:
            files.keep(row.request_id, content.sha256)
    with context.database.transaction() as db:
        server_log.lock(db)
        current = evidence.get_row(db, row.request_id)
        if current is not None and current.state == EvidenceState.ASKED.value:
            server_log.append(db, entry, at=context.now())
            projector.project_server_log(db, context)
    files.discard_parts(row.request_id)
    if isinstance(entry, EvidenceRefused):
        raise InvalidError(_CODE_OF_FAULT[entry.fault])


def _require(row: EvidenceRequestRow | None) -> EvidenceRequestRow:
    if row is None:
        raise NotFoundError()
    return row
