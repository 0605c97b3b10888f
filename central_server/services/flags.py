"""What inspectors do with a flag: take it, dismiss it, undo either. Each is an entry of the log."""

from collections.abc import Callable
from uuid import UUID

from central_server.domain.errors import ConflictError, InvalidError, NotFoundError
from central_server.domain.permissions import FlagScope, UserId
from central_server.domain.server_log import (
    Entry,
    FlagDismissed,
    FlagReleased,
    FlagTaken,
    NotificationAcknowledged,
    Viewed,
)
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.storage import flag_lists, server_log
from central_server.storage.tables import FlagRow

MAX_REASON_CHARACTERS = 1000

# From which states each decision may be taken; in all others somebody was faster.
DECIDABLE: dict[str, frozenset[str]] = {
    "take": frozenset({"open"}),
    "release": frozenset({"taken", "dismissed"}),
    "dismiss": frozenset({"open", "taken"}),
}


def take(context: ServerContext, scope: FlagScope, flag_id: str, by: UserId) -> FlagRow:
    """The flag is this inspector's to look into."""
    return _decide(context, scope, flag_id, "take", lambda flag: FlagTaken(flag_id=flag, by=by))


def release(context: ServerContext, scope: FlagScope, flag_id: str, by: UserId) -> FlagRow:
    """Undo of taken or dismissed: open again, and whoever took or dismissed it stays on record."""
    return _decide(
        context, scope, flag_id, "release", lambda flag: FlagReleased(flag_id=flag, by=by)
    )


def dismiss(
    context: ServerContext, scope: FlagScope, flag_id: str, by: UserId, reason: str
) -> FlagRow:
    """Nothing is to be done about it, for this reason."""
    words = reason.strip()
    if not 0 < len(words) <= MAX_REASON_CHARACTERS:
        raise InvalidError("error.reason", maximum=MAX_REASON_CHARACTERS)
    return _decide(
        context,
        scope,
        flag_id,
        "dismiss",
        lambda flag: FlagDismissed(flag_id=flag, by=by, reason=words),
    )


def acknowledge(context: ServerContext, scope: FlagScope, flag_id: str, by: UserId) -> None:
    """Somebody has seen the notification: it does not go to the next level."""
    now = context.now()
    with context.database.transaction() as db:
        _require(flag_lists.find_flag(db, scope, flag_id))
        entry = NotificationAcknowledged(flag_id=UUID(flag_id), by=by)
        server_log.append(db, entry, at=now)
        projector.project_server_log(db, context)


def log_view(context: ServerContext, by: UserId, what: str, subject: str) -> None:
    """Who looked at a citizen's words is itself on record, before the words are shown."""
    with context.database.transaction() as db:
        server_log.append(db, Viewed(by=by, what=what, subject=subject), at=context.now())


def _decide(
    context: ServerContext,
    scope: FlagScope,
    flag_id: str,
    decision: str,
    entry_for: Callable[[UUID], Entry],
) -> FlagRow:
    with context.database.transaction() as db:
        server_log.lock(db)
        flag = _require(flag_lists.find_flag(db, scope, flag_id))
        if flag.state not in DECIDABLE[decision]:
            raise ConflictError(state=flag.state)
        server_log.append(db, entry_for(UUID(flag.flag_id)), at=context.now())
        projector.project_server_log(db, context)
        db.refresh(flag)
        return flag


def _require(flag: FlagRow | None) -> FlagRow:
    if flag is None:
        raise NotFoundError()
    return flag
