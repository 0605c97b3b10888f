"""What codes shown to the camera mean, and when to believe them.

A code counts after two equal readings; the same code counts once in a stay. Knows no picture. A
rating is not sealed here: `CardRating` is the order to do so.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from edge_agent.core.statements import Statement
from event_protocol.events import MAX_SLIP_CHARACTERS, SlipScanned
from event_protocol.names import DeskId

RATING_PREFIX = "onestop:rating:"
SLIP_PREFIX = "onestop:slip:"  # our own print; anything else that is no rating is a slip too

# Between two readings of one card. Longer, and two cards shown one after the other vouch for each
# other; shorter, and a card held badly is never accepted.
CONFIRM_WITHIN = timedelta(seconds=2)
# Without a known stay, the same code is the same showing until it was out of sight for so long.
REPEAT_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class CardRating:
    """Somebody showed a rating card, 1 (worst) to 5, at that desk."""

    desk: DeskId
    at: datetime
    rating: int
    session_id: UUID | None


@dataclass(frozen=True, slots=True)
class _Known:
    last_at: datetime
    is_accepted: bool


class CodeReader:
    """The codes shown at one desk."""

    def __init__(self, desk: DeskId) -> None:
        self._desk = desk
        self._known: dict[tuple[UUID | None, str], _Known] = {}

    def observe(self, text: str, at: datetime, stay: UUID | None) -> Statement | CardRating | None:
        """Take in one reading of a code; returns what it says once it can be believed.

        A rating other than 1 to 5, or a text that no event can carry, says nothing.
        """
        self._forget(at, stay)
        key = (stay, text)
        known = self._known.get(key)
        if known is None or (not known.is_accepted and at - known.last_at > CONFIRM_WITHIN):
            self._known[key] = _Known(at, is_accepted=False)
            return None
        self._known[key] = _Known(at, is_accepted=True)
        return None if known.is_accepted else self._interpret(text, at, stay)

    def _forget(self, at: datetime, stay: UUID | None) -> None:
        """Codes of the present stay are kept for as long as it lasts, others for a while."""
        self._known = {
            (of_stay, text): known
            for (of_stay, text), known in self._known.items()
            if (of_stay is not None and of_stay == stay) or at - known.last_at <= REPEAT_WITHIN
        }

    def _interpret(
        self, text: str, at: datetime, stay: UUID | None
    ) -> Statement | CardRating | None:
        if text.startswith(RATING_PREFIX):
            grade = text.removeprefix(RATING_PREFIX)
            is_grade = len(grade) == 1 and grade in "12345"
            return CardRating(self._desk, at, int(grade), stay) if is_grade else None
        slip = text.removeprefix(SLIP_PREFIX).strip()
        if not 0 < len(slip) <= MAX_SLIP_CHARACTERS:
            return None
        return Statement(self._desk, at, SlipScanned(text=slip, session_id=stay))
