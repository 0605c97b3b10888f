"""A box that is lost, stolen or taken apart: refused for good, and another one at its desks.

The broker cuts it off with its next round of accounts, the server files nothing of it from the
moment this is committed: what still comes is kept in quarantine with the reason.
"""

import re
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from central_server.domain.device_log import DeviceRevoked, Positions
from central_server.domain.errors import ConflictError, InvalidError, NotFoundError
from central_server.domain.evidence_log import EvidenceExpired
from central_server.domain.server_log import RegistryChanged
from central_server.services import broker_accounts, enrolment, projector
from central_server.services.context import ServerContext
from central_server.services.evidence import files_of
from central_server.storage import events, evidence, registry, server_log
from central_server.storage.tables import DeviceRow
from event_protocol.names import NAME_PATTERN


def revoke(
    context: ServerContext,
    device: str,
    *,
    reason: str,
    lost_since: datetime | None = None,
    by: str = "command",
) -> tuple[Positions, ...]:
    """Refuses the device; returns what arrived since it was lost, which the log calls doubtful.

    `NotFoundError` if it is unknown or revoked already.
    """
    now = context.now()
    with context.database.transaction() as db:
        server_log.lock(db)
        row = registry.find_device(db, device)
        if row is None or row.revoked_at is not None:
            raise NotFoundError(device=device)
        row.revoked_at = now
        doubtful = () if lost_since is None else _arrived_since(db, device, lost_since)
        entry = DeviceRevoked(
            device=device, by=by, reason=reason, lost_since=lost_since, doubtful=doubtful
        )
        closed = note(context, db, entry)
    for request_id in closed:
        files_of(context).discard_parts(request_id)
    broker_accounts.write_password_file(context)
    return doubtful


def note(context: ServerContext, db: Session, entry: DeviceRevoked) -> list[str]:
    """Writes it down, and asks the box for no pictures any more; returns the requests closed.

    So none of its ring's keys is handed out again, either.
    """
    now = context.now()
    server_log.append(db, entry, at=now)
    asked = evidence.list_asked_of(db, entry.device)
    for request_id in asked:
        server_log.append(db, EvidenceExpired(request_id=UUID(request_id)), at=now)
    projector.project_server_log(db, context)
    return asked


def replace(context: ServerContext, lost: str, replacement: str, *, by: str = "command") -> str:
    """Gives the lost box's desks to a new one, and returns the code to pair it with.

    `ConflictError` if the former is not revoked yet, or the new name is known already.
    """
    if re.fullmatch(NAME_PATTERN, replacement) is None:
        raise InvalidError("error.device_name", name=replacement)
    with context.database.transaction() as db:
        row = registry.find_device(db, lost)
        if row is None:
            raise NotFoundError(device=lost)
        if row.revoked_at is None or registry.find_device(db, replacement) is not None:
            raise ConflictError(device=replacement)
        registry.save(db, [DeviceRow(device_id=replacement, unit_id=row.unit_id)])
        desks = [desk for desk, _ in registry.list_desks_of_device(db, lost)]
        for desk in desks:
            desk.device_id = replacement
        registry.save(db, desks)
        entry = RegistryChanged(
            by=by, what="device.replaced", subject=f"{lost} {replacement}"[:100]
        )
        server_log.append(db, entry, at=context.now())
    return enrolment.make_code(context, replacement, by=by)


def _arrived_since(db: Session, device: str, since: datetime) -> tuple[Positions, ...]:
    found = events.positions_since(db, device, since)
    return tuple(Positions(epoch=epoch, first=first, last=last) for epoch, first, last in found)
