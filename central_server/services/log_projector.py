"""The server's own log to what is derived: one small function for each type of entry."""

from collections.abc import Callable
from typing import Any, get_args

from sqlmodel import Session

from central_server.domain.custody_log import FeedbackErased
from central_server.domain.evidence_log import EvidenceEntry
from central_server.domain.flags import Place, flag_id, raise_flag
from central_server.domain.server_log import (
    DeviceFellSilent,
    DeviceHeardAgain,
    Entry,
    FeedbackCompleted,
    FeedbackReceived,
    FlagDismissed,
    FlagReleased,
    FlagTaken,
    FlagWithdrawn,
    GapGivenUp,
    IncidentRecorded,
    LoggedEntry,
    NotificationAcknowledged,
    RulesActivated,
    StreamSuperseded,
)
from central_server.services import (
    evidence_projector,
    feedback_projector,
    rule_sets,
    stream_projector,
)
from central_server.services.derived_rows import decided_state
from central_server.services.projection_run import Run, withdrawn_row, write_flag_rows, write_flags
from central_server.storage import notifications, projection, registry, server_log
from central_server.storage.streams import Stream

# The log's own place among the streams.
LOG_STREAM: Stream = ("server-log", 1)


def project(run: Run) -> None:
    """Takes in the entries behind the log's position, and those that this itself adds."""
    server_log.lock(run.db)  # as who appends and then projects: the log before its position
    position = projection.open_position(run.db, *LOG_STREAM)
    through = before = position
    while True:
        for logged in server_log.read_after(run.db, through):
            take(run, logged)
            through = logged.sequence
        if through == before:
            break
        before = through
    if through != position:
        projection.save_position(run.db, *LOG_STREAM, through)


def is_behind(db: Session) -> bool:
    """Whether the log holds entries that are not projected."""
    newest, _ = server_log.find_tip(db) or (0, "")
    return newest > projection.find_through(db, *LOG_STREAM)


def take(run: Run, logged: LoggedEntry) -> None:
    """One entry; most types change nothing that is derived."""
    handle = _HANDLERS.get(type(logged.entry))
    if handle is not None:
        handle(run, logged, logged.entry)


def take_inputs(run: Run, logged: LoggedEntry) -> None:
    """Only what streams are folded with; a rebuild hands it in before it folds them."""
    entry = logged.entry
    if isinstance(entry, RulesActivated):
        rule_sets.apply(run.db, entry)
    elif isinstance(entry, GapGivenUp):
        projection.add_given_up(run.db, entry.device, entry.epoch, entry.first, entry.last)
    elif isinstance(entry, StreamSuperseded):
        projection.mark_superseded(run.db, entry.device, entry.epoch, entry.by_epoch)


def _activate_rules(run: Run, logged: LoggedEntry, entry: RulesActivated) -> None:
    if rule_sets.apply(run.db, entry):
        run.rules = rule_sets.history(run.db, run.context)
        projection.mark_refold(run.db, entry.effective_from)


def _fall_silent(run: Run, logged: LoggedEntry, entry: DeviceFellSilent) -> None:
    rules = run.rules.at(entry.since)
    facts = {
        "last_heard": entry.since.isoformat(),
        "noticed_at": logged.time.isoformat(),
        "threshold_s": rules.rules.device_silent.threshold_s,
        "log_sequence": logged.sequence,
    }
    flag = raise_flag(
        "device_silent",
        rules,
        Place(_unit_of(run, entry.device), entry.device),
        (entry.device, entry.since.isoformat()),
        entry.since,
        None,
        facts,
    )
    write_flags(run, [flag] if flag else [])


def _hear_again(run: Run, logged: LoggedEntry, entry: DeviceHeardAgain) -> None:
    name = flag_id("device_silent", entry.device, entry.silent_since.isoformat())
    _change_flag(run, name, end=entry.at)


def _give_up_gap(run: Run, logged: LoggedEntry, entry: GapGivenUp) -> None:
    if projection.add_given_up(run.db, entry.device, entry.epoch, entry.first, entry.last):
        stream_projector.project_whole(run, [(entry.device, entry.epoch)])


def _supersede(run: Run, logged: LoggedEntry, entry: StreamSuperseded) -> None:
    if projection.mark_superseded(run.db, entry.device, entry.epoch, entry.by_epoch):
        stream_projector.project_whole(run, [(entry.device, entry.epoch)])


def _record_incident(run: Run, logged: LoggedEntry, entry: IncidentRecorded) -> None:
    facts = {
        "cause": "incident",
        "kind": entry.kind,
        "epoch": entry.epoch,
        "first": entry.sequence,
        "last": entry.sequence,
        "sha256": entry.sha256,
        "log_sequence": logged.sequence,
    }
    flag = raise_flag(
        "broken_chain",
        run.rules.at(logged.time),
        Place(_unit_of(run, entry.device), entry.device, entry.epoch),
        (entry.device, entry.epoch, entry.sequence, "incident", entry.sha256),
        logged.time,
        logged.time,
        facts,
    )
    write_flags(run, [flag] if flag else [])


def _take_feedback(
    run: Run, logged: LoggedEntry, entry: FeedbackReceived | FeedbackCompleted
) -> None:
    feedback_projector.project_logged(run, str(entry.feedback_id))


def _erase_feedback(run: Run, logged: LoggedEntry, entry: FeedbackErased) -> None:
    feedback_projector.project_erased(run, str(entry.feedback_id))


def _take_flag(run: Run, logged: LoggedEntry, entry: FlagTaken) -> None:
    _change_flag(run, str(entry.flag_id), taken_by=entry.by, decided_at=logged.time)
    notifications.acknowledge(run.db, str(entry.flag_id), entry.by, logged.time)


def _release_flag(run: Run, logged: LoggedEntry, entry: FlagReleased) -> None:
    name = str(entry.flag_id)
    _change_flag(run, name, taken_by=None, decided_at=None, decision_reason=None)


def _dismiss_flag(run: Run, logged: LoggedEntry, entry: FlagDismissed) -> None:
    decision = {"decided_at": logged.time, "decision_reason": entry.reason}
    _change_flag(run, str(entry.flag_id), taken_by=entry.by, **decision)
    notifications.acknowledge(run.db, str(entry.flag_id), entry.by, logged.time)


def _acknowledge(run: Run, logged: LoggedEntry, entry: NotificationAcknowledged) -> None:
    notifications.acknowledge(run.db, str(entry.flag_id), entry.by, logged.time)


def _withdraw_flag(run: Run, logged: LoggedEntry, entry: FlagWithdrawn) -> None:
    """In a rebuild nothing else remembers the flag; one that follows again stands."""
    name = str(entry.flag_id)
    if name not in projection.find_rows(run.db, projection.FLAG, "flag_id", [name]):
        write_flag_rows(run, [withdrawn_row(entry)])


def _take_evidence(run: Run, logged: LoggedEntry, entry: EvidenceEntry) -> None:
    evidence_projector.take(run.db, logged, entry)


def _change_flag(run: Run, name: str, **changes: Any) -> None:
    row = projection.find_rows(run.db, projection.FLAG, "flag_id", [name]).get(name)
    if row is None:
        return
    changed = {**row, **changes}
    if row["state"] != "withdrawn":
        changed["state"] = decided_state(changed)
    if changed != row:
        write_flag_rows(run, [changed])


def _unit_of(run: Run, device: str) -> str:
    row = registry.find_device(run.db, device)
    return row.unit_id if row else ""


_Handler = Callable[[Run, LoggedEntry, Any], None]
_HANDLERS: dict[type[Entry], _Handler] = {
    RulesActivated: _activate_rules,
    DeviceFellSilent: _fall_silent,
    DeviceHeardAgain: _hear_again,
    GapGivenUp: _give_up_gap,
    StreamSuperseded: _supersede,
    IncidentRecorded: _record_incident,
    FeedbackReceived: _take_feedback,
    FeedbackCompleted: _take_feedback,
    FeedbackErased: _erase_feedback,
    FlagTaken: _take_flag,
    FlagReleased: _release_flag,
    FlagDismissed: _dismiss_flag,
    FlagWithdrawn: _withdraw_flag,
    NotificationAcknowledged: _acknowledge,
    **dict.fromkeys(get_args(EvidenceEntry), _take_evidence),
}
