"""What the holder of a receipt code sees: how far the complaint is, in words safe for anybody."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from central_server.services.context import ServerContext
from central_server.storage import feedback_receipts
from event_protocol.receipt_codes import hash_code, hint_of


class ReceiptState(StrEnum):
    """How far it is; an inspector's name and reasons stay inside."""

    RECEIVED = "received"
    TAKEN = "taken"
    CLOSED = "closed"


# A withdrawn flag means that the complaint was taken back or re-filed, not that somebody decided.
_STATE_OF_FLAG = {"taken": ReceiptState.TAKEN, "dismissed": ReceiptState.CLOSED}


@dataclass(frozen=True, slots=True)
class ComplaintReceipt:
    """`received_at` is a quarter of an hour."""

    feedback_id: str
    unit_id: str
    received_at: datetime
    state: ReceiptState


def may_exist(context: ServerContext, code: str) -> bool:
    """Whether the slow look is worth while: of guesses, one in millions."""
    with context.database.reading() as db:
        return feedback_receipts.is_known_hint(db, hint_of(code))


def find_receipt(context: ServerContext, code: str) -> ComplaintReceipt | None:
    """The complaint with that code, as `read_code` gives it; 0.1 s for its two slow hashes."""
    # Made here with the pepper, or by a kiosk, which has none.
    hashes = (hash_code(code, context.keys.pepper), hash_code(code))
    with context.database.reading() as db:
        found = feedback_receipts.find_feedback(db, hashes)
        if found is None:
            return None
        flags = feedback_receipts.list_flags(db, found.feedback_id)
    state = state_of(flag.state for flag in flags)
    return ComplaintReceipt(found.feedback_id, found.unit_id, found.quarter_at, state)


def state_of(flag_states: Iterable[str]) -> ReceiptState:
    """One state for all flags of a complaint: whoever works on it, it is not closed."""
    known = {_STATE_OF_FLAG.get(state) for state in flag_states}
    for state in (ReceiptState.TAKEN, ReceiptState.CLOSED):
        if state in known:
            return state
    return ReceiptState.RECEIVED
