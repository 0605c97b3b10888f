"""Once a day the server signs where its log stands, and lets copies of that leave the machine.

Whoever can rewrite the database can rewrite all of it; not the signature, and not the copy that
somebody printed, was mailed, or took from the folder.
"""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import structlog
from pydantic import ValidationError
from sqlmodel import Session

from central_server.domain.custody_log import LogAnchored, StreamHead, StreamsAnchored
from central_server.services.context import ServerContext
from central_server.services.targets import Words, send_to_all
from central_server.storage import anchors, server_log
from event_protocol.canonical import canonical_bytes
from event_protocol.names import NO_HASH
from event_protocol.server_heads import SignedHead, public_hex, sign_head
from web.pages import LANGUAGES, translate

HEADS_IN_ONE_ENTRY = 1000
SEND_TIMEOUT_S = 20.0
_FILE = "head-*.json"

_log = structlog.get_logger()


def anchor_daily(context: ServerContext) -> None:
    """The day's first call anchors; whatever failed of the last anchor's copy is made good.

    A day is UTC's: it turns at seven in the morning of the office.
    """
    today = context.now().date()
    with context.database.reading() as db:
        last = anchors.find_last(db)
    if last is None or last.time.date() < today:
        head = anchor(context)
        if head is not None:
            _tell(context, head)
    elif isinstance(last.entry, LogAnchored):
        drop_copy(context, last.entry.head)


def anchor(context: ServerContext) -> SignedHead | None:
    """Signs the log's head now, behind what it says of devices' logs; `None` while it is empty."""
    now = context.now()
    with context.database.transaction() as db:
        server_log.lock(db)
        entries = 0
        for heads in _in_groups(_heads_to_say(db)):
            server_log.append(db, StreamsAnchored(heads=heads), at=now)
            entries += 1
        if server_log.find_tip(db) is None:
            return None
        head = sign_tip(context, db, now)
        server_log.append(db, LogAnchored(head=head, streams=entries), at=now)
    drop_copy(context, head)
    return head


def sign_tip(context: ServerContext, db: Session, now: datetime) -> SignedHead:
    """The log's newest entry, signed; it and all before it stand for what they say."""
    through, digest = server_log.find_tip(db) or (0, NO_HASH)
    key = context.keys.signing
    unsigned = SignedHead(time=now, through=through, hash=digest, key=public_hex(key), signature="")
    return sign_head(unsigned, key)


def drop_copy(context: ServerContext, head: SignedHead) -> None:
    """The head as a file of its own, for whatever carries files away; once is enough."""
    folder = context.settings.anchors_directory
    path = folder / _FILE.replace("*", f"{head.time:%Y%m%d}-{head.through}")
    if path.exists():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(canonical_bytes(head.model_dump(mode="json")) + b"\n")
        temporary.replace(path)
    except OSError as error:  # a share that is away now: the next call tries again
        _log.warning("anchor not copied", folder=str(folder), reason=error.strerror)


def read_copies(folder: Path) -> Iterator[SignedHead]:
    """The heads that lie in that folder; files that are no heads are none of ours."""
    for path in sorted(folder.glob(_FILE)):
        try:
            yield SignedHead.model_validate_json(path.read_bytes())
        except ValidationError:
            _log.warning("not a signed head", file=str(path))


def _heads_to_say(db: Session) -> Iterator[StreamHead]:
    """Those of all epochs that devices write to, and of those left since, if they grew before.

    What an earlier anchor said stays said: an epoch that is over is told of once.
    """
    last = anchors.find_last(db)
    said = set() if last is None else set(anchors.read_said(db, last))
    oldest: dict[str, int] = {}
    for device, epoch, _, _ in said:
        oldest[device] = min(epoch, oldest.get(device, epoch))
    for head, is_left in anchors.read_heads(db):
        device, epoch = head[:2]
        if not is_left or (epoch >= oldest.get(device, 0) and head not in said):
            yield head


def _in_groups(heads: Iterable[StreamHead]) -> Iterator[tuple[StreamHead, ...]]:
    rest = iter(heads)
    while group := tuple(islice(rest, HEADS_IN_ONE_ENTRY)):
        yield group


def _tell(context: ServerContext, head: SignedHead) -> None:
    """A mail that was read, or lies in somebody's archive, is a copy too. Tried once."""
    targets = context.settings.anchors.targets
    if not targets:
        return
    title = translate(LANGUAGES[0], "anchor.title")
    lines = [translate(language, "anchor.told") for language in LANGUAGES]
    copy = canonical_bytes(head.model_dump(mode="json")).decode()
    took = send_to_all(Words(title, "\n\n".join([*lines, copy])), targets, SEND_TIMEOUT_S)
    if len(took) < len(set(targets)):
        _log.warning("anchor not sent to all", reached=len(took), targets=len(set(targets)))
