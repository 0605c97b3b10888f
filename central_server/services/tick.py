"""What only the passing of time shows: silence, gaps that stay open, epochs that were left behind.

The clock is read here and nowhere else in what is derived: each observation becomes an entry of the
server's log, and the log alone is projected. Called every few seconds; doing so twice adds nothing.
"""

from datetime import datetime, timedelta

from sqlmodel import Session

from central_server.domain.rules import RuleSet
from central_server.domain.server_log import (
    DeviceFellSilent,
    DeviceHeardAgain,
    GapGivenUp,
    IncidentRecorded,
    StreamSuperseded,
)
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.services.filing import previous_epoch
from central_server.storage import events, months, registry, server_log, watches
from central_server.storage.tables import DeskRow, DeviceRow
from central_server.storage.watches import LeftEpoch
from event_protocol.events import EpochHead


def tick(context: ServerContext, listening_since: datetime) -> None:
    """Writes down what is to be noticed now, and projects it and whatever was left behind. Sees to
    it that the next months' events have their place.

    `listening_since`: when this server began to hear its devices (its start, or the broker's
    return). For the time before, it can't tell a silent device from its own absence.
    """
    with context.database.transaction() as db:
        months.prepare(db, context.now())
    with context.database.transaction() as db:
        run = projector.open_run(db, context)
        rules = run.rules.at(run.now)
        _notice_silence(db, rules, run.now, listening_since)
        _give_up_gaps(db, run.now, timedelta(minutes=context.settings.ingest.gap_limit_minutes))
        _notice_new_epochs(db, run.now)
    projector.project_behind(context)


def _notice_silence(db: Session, rules: RuleSet, now: datetime, listening_since: datetime) -> None:
    desks: dict[str, list[DeskRow]] = {}
    for desk in registry.list_desks(db):
        if desk.device_id is not None:
            desks.setdefault(desk.device_id, []).append(desk)
    for device in registry.list_paired(db):
        if device.silent_since is not None:
            _notice_return(db, device, now)
        elif device.last_heard_at is not None and rules.rules.device_silent.enabled:
            quiet_from = max(device.last_heard_at, listening_since)
            open_s = max(
                (
                    rules.calendar(desk.schedule).open_seconds(quiet_from, now)
                    for desk in desks.get(device.device_id, [])
                    if quiet_from < now
                ),
                default=0.0,
            )
            if open_s >= rules.rules.device_silent.threshold_s:
                device.silent_since = quiet_from
                entry = DeviceFellSilent(device=device.device_id, since=quiet_from)
                server_log.append(db, entry, at=now)


def _notice_return(db: Session, device: DeviceRow, now: datetime) -> None:
    silent_since, heard_at = device.silent_since, device.last_heard_at
    if silent_since is None or heard_at is None or heard_at <= silent_since:
        return
    device.silent_since = None
    entry = DeviceHeardAgain(device=device.device_id, at=heard_at, silent_since=silent_since)
    server_log.append(db, entry, at=now)


def _give_up_gaps(db: Session, now: datetime, limit: timedelta) -> None:
    for hole in watches.list_holes(db, waiting_since=now - limit):
        server_log.append(db, GapGivenUp(**hole._asdict()), at=now)


def _notice_new_epochs(db: Session, now: datetime) -> None:
    """The old epoch's outbox is gone: what its successor says was its end, and is missing here,
    can't come any more.
    """
    for left in watches.list_left_epochs(db):
        entry = StreamSuperseded(
            device=left.device, epoch=left.epoch, by_epoch=left.by_epoch, at=left.at
        )
        server_log.append(db, entry, at=now)
        head = previous_epoch(left.event_type, left.body)
        if head is not None and head.epoch == left.epoch:
            _compare_end(db, left, head, now)


def _compare_end(db: Session, left: LeftEpoch, head: EpochHead, now: datetime) -> None:
    """What the old epoch lost at its end is a gap; another event than it names is tampering."""
    place = (left.device, left.epoch, head.sequence)
    if head.sequence > left.highest_seen:
        missing = GapGivenUp(
            device=left.device, epoch=left.epoch, first=left.highest_seen + 1, last=head.sequence
        )
        server_log.append(db, missing, at=now)
    elif events.find_hashes(db, [place]).get(place, head.hash) != head.hash:
        incident = IncidentRecorded(
            device=left.device,
            epoch=left.epoch,
            sequence=head.sequence,
            kind="other_epoch_head",
            sha256=head.hash,
        )
        server_log.append(db, incident, at=now)
