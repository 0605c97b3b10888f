"""Tells people of grave flags at once, again if it fails, and the next level if nobody answers.

Safe for several workers: each notification is claimed before it is sent. A worker that dies after
sending and before it could say so sends once more; nobody is left untold.
"""

from datetime import timedelta
from functools import cache
from uuid import UUID

import structlog

from central_server.domain.server_log import Notified
from central_server.services.context import ServerContext
from central_server.services.targets import Words, send_to_all, target_name
from central_server.storage import notifications, server_log
from central_server.storage.notifications import Claimed
from event_protocol.names import floor_to_quarter
from web.pages import LANGUAGES, translate

SEND_TIMEOUT_S = 20.0
# Longer than one sending, so that no second worker takes what is under way.
_LEASE = timedelta(minutes=2)
_FIRST_RETRY = timedelta(seconds=30)
_LONGEST_RETRY = timedelta(minutes=15)
_AT_ONE_RUN = 50

_log = structlog.get_logger()


def run_due(context: ServerContext, send_timeout_s: float = SEND_TIMEOUT_S) -> int:
    """Sends what is due and returns how many were tried; called every few seconds by each worker.

    With no target configured nothing is tried: flags show that nobody is told.
    """
    notify = context.settings.notify
    escalate_after = timedelta(minutes=notify.escalate_after_minutes)
    with context.database.transaction() as db:
        notifications.add_missing(db, max(1, len(notify.targets)), context.now(), escalate_after)
    if not notify.targets:
        _warn_nobody_is_told()
        return 0
    tried = 0
    while tried < _AT_ONE_RUN and _send_next(context, send_timeout_s):
        tried += 1
    return tried


def retry_after(attempts: int) -> timedelta:
    """30 s, 1 min, 2 min … up to a quarter of an hour."""
    doubled: int = 2 ** min(attempts - 1, 10)
    return min(_FIRST_RETRY * doubled, _LONGEST_RETRY)


def words_for(claimed: Claimed, internal_url: str) -> Words:
    """Unit, desk, category and link, in both languages; the words of the complaint stay inside."""
    title = translate(LANGUAGES[0], "notify.title", unit=claimed.unit_name)
    link = f"{internal_url.rstrip('/')}/flags/{claimed.flag_id}"
    paragraphs = [
        translate(
            language,
            "notify.body",
            unit=claimed.unit_name,
            desk=claimed.desk_name or "–",
            category=_category(claimed, language),
        )
        for language in LANGUAGES
    ]
    return Words(title, "\n\n".join([*paragraphs, link]))


def _send_next(context: ServerContext, send_timeout_s: float) -> bool:
    targets = context.settings.notify.targets
    with context.database.transaction() as db:
        claimed = notifications.claim_due(db, len(targets), context.now(), _LEASE)
    if claimed is None:
        return False
    addresses = {target_name(address): address for address in targets[claimed.level]}
    missing = addresses.keys() - claimed.delivered
    words = words_for(claimed, context.settings.web.internal_url)
    took = send_to_all(words, [addresses[name] for name in sorted(missing)], send_timeout_s)
    _record(context, claimed, took, frozenset(missing - took))
    return True


def _record(
    context: ServerContext, claimed: Claimed, took: frozenset[str], failed: frozenset[str]
) -> None:
    now = context.now()
    told_at = floor_to_quarter(now)  # seconds after a complaint: exactly, it would be its time
    if failed:
        _log.warning("notification failed", escalation=claimed.level, targets=sorted(failed))
    with context.database.transaction() as db:
        notifications.record_outcome(
            db,
            claimed.notification_id,
            delivered=claimed.delivered | took,
            error="not reached: " + ", ".join(sorted(failed)) if failed else None,
            sent_at=None if failed else told_at,
            due_at=now + retry_after(claimed.attempts) if failed else told_at,
        )
        if took and not claimed.delivered:
            entry = Notified(flag_id=UUID(claimed.flag_id), level=claimed.level)
            server_log.append(db, entry, at=told_at)


def _category(claimed: Claimed, language: str) -> str:
    if not claimed.reasons:
        return translate(language, f"rule.{claimed.rule}.title")
    return ", ".join(translate(language, f"feedback.reason.{reason}") for reason in claimed.reasons)


@cache
def _warn_nobody_is_told() -> None:
    """Once for each process and not when a flag is raised: a line has its exact time, and a
    complaint must have none. The flag's page says it all the time.
    """
    _log.warning("notify.targets is empty: nobody is told of grave flags")
