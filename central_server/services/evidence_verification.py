"""Holds the pictures on disk against the reports that boxes signed, as the log keeps them."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError
from sqlmodel import Session

from central_server.domain.evidence_log import EvidenceErased, EvidenceReceived
from central_server.domain.server_log import DevicePaired
from central_server.storage import server_log
from central_server.storage.evidence_files import EvidenceFiles
from event_protocol.device_chains import Deviation
from event_protocol.evidence import report_statement
from event_protocol.log_verifier import read_mapping
from event_protocol.signing import is_signed

_RECEIVED = EvidenceReceived.model_fields["type"].default
_ERASED = EvidenceErased.model_fields["type"].default
_PAIRED = DevicePaired.model_fields["type"].default
_READ_BYTES = 2**20


def verify_pictures(db: Session, files: EvidenceFiles) -> Iterator[Deviation]:
    """Each received file that is not there, not whole, or not what its box signed.

    Entries that were altered beyond reading are named with the server's log.
    """
    keys: dict[str, set[str]] = {}  # all that a device ever paired with
    checked: dict[str, str | None] = {}  # what is wrong with each file, by its hash
    received: dict[UUID, tuple[int, EvidenceReceived]] = {}
    for row in server_log.read_rows(db):
        said = read_mapping(row.body).get("data")
        try:
            if row.type == _PAIRED:
                paired = DevicePaired.model_validate(said)
                keys.setdefault(paired.device, set()).add(paired.public_key)
            elif row.type == _RECEIVED:
                entry = EvidenceReceived.model_validate(said)
                received[entry.request_id] = row.sequence, entry
            elif row.type == _ERASED:
                erased = EvidenceErased.model_validate(said)
                received.pop(erased.request_id, None)
        except ValidationError:
            continue
    for sequence, entry in received.values():
        if not _is_signed(entry, keys):
            yield Deviation("server", sequence, "the pictures' report is not signed by the device")
        content = entry.report.get("content")
        sha256 = str(content.get("sha256")) if isinstance(content, dict) else ""
        if sha256 not in checked:
            checked[sha256] = _fault(files.path_of(sha256), sha256)
        if fault := checked[sha256]:
            yield Deviation("server", sequence, fault)


def _is_signed(entry: EvidenceReceived, keys: Mapping[str, set[str]]) -> bool:
    device = str(entry.report.get("device"))
    statement = report_statement(device, entry.report)
    known = keys.get(device, set())
    return any(is_signed(statement, entry.signature, bytes.fromhex(key)) for key in known)


def _fault(path: Path, sha256: str) -> str | None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    except OSError:
        return "the pictures are not on the disk"
    return None if digest.hexdigest() == sha256 else "the pictures are not those that were received"
