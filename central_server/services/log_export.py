"""The whole log as a file that proves itself, line by line; that it was made is on record first."""

import hashlib
from collections.abc import Callable
from typing import BinaryIO

from central_server.domain.server_log import Viewed
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.storage import log_records, server_log
from event_protocol.log_records import ExportBegins, end_export, write_line
from event_protocol.server_heads import public_hex

EXPORTED = "log.exported"
Progress = Callable[[int, int], None]  # lines written, records in all


def export_log(
    context: ServerContext,
    target: BinaryIO,
    *,
    by: str,
    progress: Progress = lambda done, total: None,
) -> int:
    """Writes every record to `target`; returns how many lines. What was sealed is left out.

    The server goes on meanwhile: what comes after the beginning may be in it or not.
    """
    now = context.now()
    with context.database.transaction() as db:
        server_log.append(db, Viewed(by=by, what=EXPORTED, subject=f"{now:%Y-%m-%d}"), at=now)
        projector.project_server_log(db, context)
    key, digest = context.keys.signing, hashlib.sha256()
    begins = write_line(ExportBegins(time=now, by=by, key=public_hex(key)))
    digest.update(begins)
    target.write(begins)
    lines = 1
    with context.database.reading() as db:
        total = log_records.count_records(db)
        for record, _ in log_records.read_records(db):
            line = write_line(record)
            digest.update(line)
            target.write(line)
            lines += 1
            progress(lines, total)
    target.write(write_line(end_export(lines, digest.hexdigest(), key)))
    target.flush()
    return lines + 1
