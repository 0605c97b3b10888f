"""What the server does about pictures by itself: ask for configured flags, tell devices, give up,
erase. Called every few seconds; doing it twice adds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from central_server.domain.evidence_log import EvidenceErased, EvidenceExpired
from central_server.services import projector
from central_server.services.context import ServerContext
from central_server.services.evidence import append_request, files_of
from central_server.storage import evidence, server_log
from central_server.storage.evidence import Outstanding
from event_protocol.evidence import EvidenceKind
from event_protocol.messages import HandedKey, Link, SendClip
from event_protocol.names import DeskId, DeviceId

FIRST_REPEAT = timedelta(minutes=1)
LONGEST_REPEAT = timedelta(hours=1)
_ASKED_AT_ONE_RUN = 50

Send = Callable[[DeviceId, SendClip], None]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A command as it last went out; `news` is what makes it worth saying again at once."""

    at: datetime
    times: int
    news: tuple[object, ...]

    @property
    def again_at(self) -> datetime:
        """1 min, 2 min, 4 min … up to an hour later."""
        doubled: int = 2 ** min(self.times - 1, 10)
        return self.at + min(FIRST_REPEAT * doubled, LONGEST_REPEAT)


class EvidenceCommands:
    """Remembers only what it sent: forgotten, it is sent once more. One thread.

    `send` hands a command to the broker; `is_linked` says whether there is one to hand it to.
    """

    def __init__(self, context: ServerContext, send: Send, is_linked: Callable[[], bool]) -> None:
        self._context, self._send, self._is_linked = context, send, is_linked
        self._sent: dict[str, _Sent] = {}

    def run(self) -> None:
        """One round."""
        ask_automatically(self._context)
        give_up_expired(self._context)
        erase_outdated(self._context)
        if self._is_linked():
            self._send_due()

    def _send_due(self) -> None:
        with self._context.database.reading() as db:
            outstanding = evidence.list_outstanding(db)
        self._sent = {
            one.request.request_id: sent
            for one in outstanding
            if (sent := self._sent.get(one.request.request_id)) is not None
        }
        for one in outstanding:
            self._send_if_due(one)

    def _send_if_due(self, one: Outstanding) -> None:
        now, name = self._context.now(), one.request.request_id
        news, before = _news(one), self._sent.get(name)
        times = 1
        if before is not None and before.news == news:
            is_away = one.device.link != Link.ONLINE.value
            is_at_work = one.transfer is not None and now - one.transfer.heard_at < FIRST_REPEAT
            if is_away or is_at_work or now < before.again_at:
                return
            times = before.times + 1
        self._sent[name] = _Sent(now, times, news)
        self._send(DeviceId(one.request.device), make_command(self._context, one))


def _news(one: Outstanding) -> tuple[object, ...]:
    """The device came back, keys were handed to it, the hold changed."""
    device, transfer = one.device, one.transfer
    came_back = (device.link, device.link_epoch, device.link_boot)
    return (came_back, one.request.held, transfer and transfer.boot_key)


def make_command(context: ServerContext, one: Outstanding) -> SendClip:
    """The request as the device is told it."""
    row, transfer, settings = one.request, one.transfer, context.settings
    keys = () if transfer is None else transfer.keys
    return SendClip(
        request_id=row.request_id,
        evidence=EvidenceKind(row.kind),
        desk=DeskId(row.desk),
        begin=row.begin,
        end=row.end,
        expires=row.expires,
        max_bytes=settings.evidence.max_mb * 10**6,
        server_url=settings.evidence.device_url or settings.web.internal_url,
        hold=row.held,
        boot_key=transfer.boot_key if transfer and keys else None,
        keys=tuple(HandedKey.model_validate(key) for key in keys),
    )


def ask_automatically(context: ServerContext) -> int:
    """A clip for each new flag of the configured rules; returns how many were asked for.

    Not for flags from before a request would last: switching it on does not ask for history.
    """
    limits, asked = context.settings.evidence, 0
    if not limits.automatic:
        return 0
    since = context.now() - timedelta(hours=limits.expire_hours)
    with context.database.reading() as db:
        if not evidence.list_unasked(db, limits.automatic, since, 1):
            return 0
    with context.database.transaction() as db:
        server_log.lock(db)
        for flag in evidence.list_unasked(db, limits.automatic, since, _ASKED_AT_ONE_RUN):
            asked += append_request(db, context, flag, EvidenceKind.CLIP, by=None) is not None
        projector.project_server_log(db, context)
    return asked


def give_up_expired(context: ServerContext) -> None:
    """Requests that nobody has answered in time."""
    now = context.now()
    with context.database.reading() as db:
        expired = evidence.list_expired(db, now)
    if not expired:
        return
    with context.database.transaction() as db:
        server_log.lock(db)
        for row in evidence.list_expired(db, now):
            server_log.append(db, EvidenceExpired(request_id=UUID(row.request_id)), at=now)
        projector.project_server_log(db, context)
    for row in expired:
        files_of(context).discard_parts(row.request_id)


def erase_outdated(context: ServerContext) -> None:
    """Pictures kept for as long as settings say; never what is held."""
    now = context.now()
    before = now - timedelta(days=context.settings.evidence.keep_days)
    with context.database.reading() as db:
        if not evidence.list_outdated(db, before):
            return
    with context.database.transaction() as db:
        server_log.lock(db)
        outdated = evidence.list_outdated(db, before)
        for row in outdated:
            server_log.append(db, EvidenceErased(request_id=UUID(row.request_id)), at=now)
        projector.project_server_log(db, context)
        hashes = {row.sha256 for row in outdated if row.sha256}
        unneeded = [one for one in hashes if not evidence.is_content_needed(db, one)]
        # Before the commit: a file without its entry is asked for again, an entry without its
        # erasure would keep what must not be kept.
        for sha256 in unneeded:
            files_of(context).erase(sha256)
