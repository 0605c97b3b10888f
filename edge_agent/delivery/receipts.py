"""What a receipt means to an outbox. Pure."""

from datetime import datetime
from enum import StrEnum

from edge_agent.delivery.chaining import ChainTip
from event_protocol.messages import Receipt


class ReceiptOutcome(StrEnum):
    """What a receipt meant to this outbox."""

    ADVANCED = "advanced"  # the server holds more than we knew
    CONFIRMED = "confirmed"  # nothing new
    RESTORED = "restored"  # the server holds less than before: it was restored from a backup
    STALE = "stale"  # delivered late; a newer one was seen
    OTHER_EPOCH = "other_epoch"  # about another database's life
    AHEAD = "ahead"  # names an event that this database never wrote
    MISMATCH = "mismatch"  # the server's event with that number is another one


BELIEVED = (ReceiptOutcome.ADVANCED, ReceiptOutcome.CONFIRMED, ReceiptOutcome.RESTORED)


def judge(
    receipt: Receipt, tip: ChainTip, hash_there: str | None, known: int, known_at: datetime | None
) -> ReceiptOutcome:
    """What a receipt whose signature was verified says to the outbox that stands at `tip`.

    `hash_there`: of the event that it names; `None` for 0, or for an event so old that it was
    deleted long after its own receipt. `known`, `known_at`: the newest receipt so far.
    """
    if receipt.epoch != tip.epoch:
        return ReceiptOutcome.OTHER_EPOCH
    if receipt.through > tip.sequence:
        return ReceiptOutcome.AHEAD
    if hash_there is not None and hash_there != receipt.hash:
        return ReceiptOutcome.MISMATCH
    if receipt.through > known:
        return ReceiptOutcome.ADVANCED
    if receipt.through == known:
        return ReceiptOutcome.CONFIRMED
    if known_at is not None and receipt.server_time <= known_at:
        return ReceiptOutcome.STALE
    return ReceiptOutcome.RESTORED
