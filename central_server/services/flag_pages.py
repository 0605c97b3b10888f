"""Everything one flag's screen shows, read in one consistent view."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from central_server.domain.errors import NotFoundError
from central_server.domain.flags import REGISTRY, visible_facts
from central_server.domain.permissions import FlagScope
from central_server.services.context import ServerContext
from central_server.services.conversations import Message, messages_of
from central_server.services.timelines import Timeline, read_timeline
from central_server.storage import flag_lists, session_lists, unit_lists
from central_server.storage.flag_lists import FlagFilter
from central_server.storage.tables import FeedbackRow, FlagRow, NotificationRow, SessionRow
from central_server.storage.unit_lists import Names

_INSTANTS = frozenset({"proven_at", "noticed_at", "last_heard"})
_LOOK_BACK = timedelta(weeks=4)
_EARLIER_SHOWN = 20


@dataclass(frozen=True, slots=True)
class FlagDetail:
    """One flag with what it is about; `words` only for who may see feedback."""

    flag: FlagRow
    names: Names
    session: SessionRow | None
    timeline: Timeline | None
    earlier: list[FlagRow]  # of the same desk in the weeks before
    notification: NotificationRow | None
    words: FeedbackRow | None
    messages: list[Message]


def rules_for(scope: FlagScope) -> tuple[str, ...]:
    """The rule codes that a viewer may filter by: even the names of others tell something."""
    return tuple(
        code for code, rule in REGISTRY.items() if scope.inspection or not rule.inspection_only
    )


def facts_of(flag: FlagRow, *, inspection: bool) -> list[tuple[str, Any]]:
    """The facts by name, as this side of the house may know them; instants are instants again."""
    return [
        (name, datetime.fromisoformat(value) if name in _INSTANTS else value)
        for name, value in visible_facts(flag.facts, inspection=inspection).items()
    ]


def read_flag(
    context: ServerContext, scope: FlagScope, flag_id: str, *, sees_feedback: bool
) -> FlagDetail:
    """The flag and its surroundings; `NotFoundError` outside the scope."""
    now = context.now()
    with context.database.reading() as db:
        flag = flag_lists.find_flag(db, scope, flag_id)
        if flag is None:
            raise NotFoundError()
        session = _session_of(db, scope, flag)
        words = flag_lists.feedback_of(db, flag) if sees_feedback else None
        return FlagDetail(
            flag=flag,
            names=unit_lists.names(db, scope.units),
            session=session,
            timeline=None if session is None else read_timeline(db, session, now),
            earlier=_earlier(db, scope, flag, now),
            notification=flag_lists.last_notification(db, flag) if scope.inspection else None,
            words=words,
            messages=[] if words is None else messages_of(db, words.feedback_id, context),
        )


def _session_of(db: Session, scope: FlagScope, flag: FlagRow) -> SessionRow | None:
    if flag.session_id is None:
        return None
    return session_lists.find_session(db, scope.units, flag.session_id)


def _earlier(db: Session, scope: FlagScope, flag: FlagRow, now: datetime) -> list[FlagRow]:
    if flag.desk is None:
        return []
    wanted = FlagFilter(states=flag_lists.STATES, desk=flag.desk, since=now - _LOOK_BACK)
    return flag_lists.list_latest(db, scope, wanted, besides=flag.flag_id, limit=_EARLIER_SHOWN)
