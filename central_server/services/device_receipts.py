"""What a device is told: how far its events are committed, what is missing, what was refused.

Made inside the transaction that it speaks of; sent only after that committed.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlmodel import Session

from central_server.services.context import ServerContext
from central_server.storage import events as event_store
from central_server.storage import streams
from central_server.storage.quarantine import Misfit
from central_server.storage.streams import Head, Stream
from event_protocol.messages import Receipt, Rejection, Resend, encode_signed
from event_protocol.names import DeviceId
from event_protocol.topics import Channel

# Often enough for a lost message to be noticed, seldom enough not to flood a slow line.
ASK_AGAIN_AFTER = timedelta(seconds=10)
# Workers that share a queue commit a device's events in any order; most holes fill by themselves.
SHARED_PATIENCE = timedelta(seconds=5)
MAX_RESEND = 5000  # positions asked for at once; the rest follows when they are there
MAX_REJECTIONS = 50  # named in one receipt, which must stay below the largest message

Addressed = tuple[DeviceId, Receipt]
Message = tuple[DeviceId, Channel, bytes]  # to whom, on which channel


def remind(context: ServerContext) -> list[Addressed]:
    """Receipts that ask again for what is missing, for streams on which nothing arrives."""
    now = context.now()
    with context.database.transaction() as db:
        waiting = streams.list_with_gap(db, now - ASK_AGAIN_AFTER)
        heads = streams.open_heads(db, waiting)
        receipts = [make(db, head, now, patience_of(context)) for head in heads.values()]
        streams.save_heads(db, list(heads.values()))
    return receipts


def state_of(context: ServerContext, stream: Stream) -> Addressed:
    """The receipt for a device that came back and may not know what is committed."""
    with context.database.reading() as db:
        head = streams.find_head(db, stream)
    device, epoch = stream
    through, digest = (head.received_through, head.received_hash) if head else (0, None)
    receipt = Receipt(epoch=epoch, through=through, hash=digest, server_time=context.now())
    return DeviceId(device), receipt


def sign(context: ServerContext, receipts: Iterable[Addressed]) -> list[Message]:
    """As they are sent."""
    key = context.keys.signing
    return [
        (device, Channel.RECEIPTS, encode_signed(device, receipt, key))
        for device, receipt in receipts
    ]


def patience_of(context: ServerContext) -> timedelta:
    """How long a hole may be open before it is asked for."""
    return SHARED_PATIENCE if context.settings.broker.amqp else timedelta(0)


def make(db: Session, head: Head, now: datetime, patience: timedelta = timedelta(0)) -> Addressed:
    """What is committed of a stream once the transaction is; asks for a gap now and then."""
    resend = None
    if (
        head.has_gap
        and (head.resend_asked_at is None or now - head.resend_asked_at >= ASK_AGAIN_AFTER)
        and (head.gap_since is None or now - head.gap_since >= patience)
    ):
        resend = _missing(db, head)
        head.resend_asked_at = now
    receipt = Receipt(
        epoch=head.epoch,
        through=head.received_through,
        hash=head.received_hash,
        resend=resend,
        server_time=now,
    )
    return DeviceId(head.device), receipt


def _missing(db: Session, head: Head) -> Resend:
    first = head.received_through + 1
    there = event_store.first_after(db, head.device, head.epoch, head.received_through)
    last = head.highest_seen if there is None else there - 1
    return Resend(epoch=head.epoch, first=first, last=min(last, first + MAX_RESEND - 1))


def name_rejections(
    db: Session,
    receipts: list[Addressed],
    refused: Iterable[Misfit],
    now: datetime,
) -> list[Addressed]:
    """The receipts, with what was refused named in one of its device's."""
    rejected: dict[str, list[Rejection]] = {}
    for one in refused:
        rejection = Rejection(sha256=one.sha256, reason=one.reason)
        rejected.setdefault(str(one.device), []).append(rejection)
    named: list[Addressed] = []
    for device, receipt in receipts:
        some = tuple(rejected.pop(device, ())[:MAX_REJECTIONS])
        named.append((device, receipt.model_copy(update={"rejected": some}) if some else receipt))
    for name, some_rejected in rejected.items():
        receipt = _latest_receipt(db, name, now)
        update = {"rejected": tuple(some_rejected[:MAX_REJECTIONS])}
        named.append((DeviceId(name), receipt.model_copy(update=update)))
    return named


def _latest_receipt(db: Session, device: str, now: datetime) -> Receipt:
    """For a device of which nothing in this batch could be filed: its newest stream's state."""
    epochs = streams.list_of_device(db, device)
    head = streams.find_head(db, epochs[-1]) if epochs else None
    if head is None:
        return Receipt(epoch=1, through=0, server_time=now)
    return Receipt(
        epoch=head.epoch, through=head.received_through, hash=head.received_hash, server_time=now
    )
