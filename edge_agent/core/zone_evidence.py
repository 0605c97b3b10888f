"""What one zone's readings mean: somebody, a thing, nobody, or nothing certain yet.

Three kinds of evidence are combined: how much differs from the empty reference, whether it moves
even slightly, and in which of the two pictures it stands out. Somebody who sits still moves by a
pixel now and then; a bag, a chair or a patch of sun does not, and after a while is taken for part
of the empty room. Times are those of the frames, so the frame rate does not matter.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from edge_agent.core.lasting import Lasting
from edge_agent.core.zone_motion import REMNANT_AFTER, Remnant, ZoneMotion
from edge_agent.core.zone_reading import ZoneReading
from event_protocol.events import PresenceState

# Shares of a zone. Somebody at the desk fills 40 % of a zone drawn around one person and 10 % of a
# zone as large as the picture; an empty room in changing light stays under 1 %.
ENTER_SHARE = 0.06
LEAVE_SHARE = 0.04
CLEAR_OUTLINE = 0.15
# As sure as can be of a zone that nobody vouched to be empty, or before which somebody stands.
DOUBTFUL = 0.6

ENTER_AFTER = timedelta(seconds=1)  # shorter, and everybody who walks past the desk has a session
LEAVE_AFTER = timedelta(seconds=1.5)  # shorter, and someone bending down ends a session
# A reader turns a page or shifts more often; a bag that was left is cleared after so long.
THING_AFTER = timedelta(seconds=90)
# Whoever keeps still for longer is watched closely, lest a slight move be missed.
MOVES_OFTEN = timedelta(seconds=15)
# Without a reference: so long a motion is no passer-by's.
STAYS_AFTER = timedelta(seconds=5)


class Learn(Enum):
    """What the picture just seen may teach about how the zone looks when it is empty."""

    NOTHING = auto()
    SLOWLY = auto()  # it is empty: follow the daylight
    AT_ONCE = auto()  # this is how it looks
    CONFIRMED = auto()  # the first picture was how it looks


@dataclass(frozen=True, slots=True)
class Verdict:
    """Another state than the present one, and since when."""

    state: PresenceState
    since: datetime


class ZoneEvidence:
    """Weighs one zone's readings, one after the other, as long as there is no break in them."""

    def __init__(self) -> None:
        self.learn = Learn.NOTHING
        self._motion = ZoneMotion()
        self._remnant = Remnant()
        self._shown: Lasting[PresenceState] = Lasting()
        self._last_at: datetime | None = None
        self._outlines: list[float] = []

    @property
    def shown_since(self) -> datetime | None:
        """Since when something else than the present state shows itself."""
        return self._shown.since

    def can_miss_a_look(self, state: PresenceState, at: datetime) -> bool:
        """Whether a look less would not matter: nobody is there, or somebody who moves often."""
        if state is PresenceState.OCCUPIED:
            return self._motion.still_for(at) <= MOVES_OFTEN
        return state is PresenceState.EMPTY

    def settled_until(self, state: PresenceState, at: datetime) -> datetime:
        """No verdict still to come will be about a time before this."""
        begins = [self._shown.since]
        if state is not PresenceState.EMPTY:
            begins += [self._motion.still_since, self._remnant.since]
        if state is PresenceState.UNKNOWN:
            begins.append(self._motion.moving_since)
        return min([at, *(begin for begin in begins if begin is not None)])

    def weigh(self, reading: ZoneReading, state: PresenceState, at: datetime) -> Verdict | None:
        """The state that the reading makes of the present one; `None`: it stands."""
        # What is gone in this frame went between the last one and this; midway is the best guess,
        # and matters when there is one frame a second. Who is there is there since first seen.
        step = max(timedelta(), at - (self._last_at or at))
        began, self._last_at = at - step / 2, at
        self._motion.observe(reading.moving, began, at)
        self._remnant.observe(reading, state, began, step)
        weigh = self._compare if reading.is_calibrated else self._find_out
        verdict = weigh(reading, state, began, at)
        if verdict is not None:
            self._shown.forget()
        return verdict

    def confidence(self, state: PresenceState, reading: ZoneReading | None, at: datetime) -> float:
        """How far the reading stands from the threshold: 0.5 on it, 1 well away, 0 if unknown.

        A margin, not a probability. Less without a reference, where another figure hides the zone,
        and the longer nothing moves.
        """
        if state is PresenceState.UNKNOWN or reading is None:
            return 0.0
        is_occupied = state is PresenceState.OCCUPIED
        margin = reading.changed / ENTER_SHARE - 1
        sure = 0.5 + 0.5 * min(1.0, max(0.0, margin if is_occupied else -margin))
        if is_occupied:
            sure -= 0.4 * min(1.0, self._motion.still_for(at) / THING_AFTER)
        is_doubtful = reading.is_hidden or not reading.is_calibrated
        return round(max(0.1, min(sure, DOUBTFUL) if is_doubtful else sure), 2)

    # --- against the empty reference -------------------------------------------------------------

    def _compare(
        self, reading: ZoneReading, state: PresenceState, began: datetime, at: datetime
    ) -> Verdict | None:
        self.learn = Learn.NOTHING
        if reading.changed < LEAVE_SHARE:
            if state is PresenceState.EMPTY and not reading.is_hidden:
                self.learn = Learn.SLOWLY
        elif not reading.is_hidden and self._is_thing(reading, state, at):
            return self._take_for_empty(state, at)
        shown = _shown_by(reading, state)
        if shown is state:
            self._shown.forget()
            return None
        if shown is PresenceState.EMPTY:
            begin = self._shown.show(shown, began)
            since = self._remnant.left_at(begin)
            return Verdict(shown, since) if at - begin >= LEAVE_AFTER else None
        begin = self._shown.show(shown, at)
        # A patch of sun or a bag that is put down does not move once it is there.
        is_alive = self._motion.was_after(begin)
        return Verdict(shown, begin) if is_alive and at - begin >= ENTER_AFTER else None

    def _is_thing(self, reading: ZoneReading, state: PresenceState, at: datetime) -> bool:
        still_for = self._motion.still_for(at)
        is_gone = reading.outline <= -CLEAR_OUTLINE  # something that belonged to the empty zone
        if still_for >= (REMNANT_AFTER if is_gone else THING_AFTER):
            return True
        return state is PresenceState.OCCUPIED and self._remnant.lasts(at)

    def _take_for_empty(self, state: PresenceState, at: datetime) -> Verdict | None:
        """The zone as it looks now has nobody in it, since what is there moved last."""
        self.learn = Learn.AT_ONCE
        since = self._remnant.left_at(at - self._motion.still_for(at))
        self._motion, self._outlines = ZoneMotion(), []
        self._shown.forget()
        return None if state is PresenceState.EMPTY else Verdict(PresenceState.EMPTY, since)

    # --- before the first reference --------------------------------------------------------------

    def _find_out(
        self, reading: ZoneReading, state: PresenceState, began: datetime, at: datetime
    ) -> Verdict | None:
        """Compared with the first picture, of which it is not known whether somebody is in it."""
        self.learn = Learn.NOTHING
        if reading.changed >= ENTER_SHARE:
            self._outlines.append(reading.outline)
        if self._motion.still_for(at) >= THING_AFTER:
            return self._take_for_empty(state, at)
        lesson = self._reveals(reading)
        if lesson is Learn.NOTHING:
            self._shown.forget()
        else:
            begin = self._shown.show(PresenceState.EMPTY, began)
            if at - begin >= LEAVE_AFTER:
                self.learn = lesson
                self._motion, self._outlines = ZoneMotion(), []
                return Verdict(PresenceState.EMPTY, begin)
        moving_since = self._motion.moving_since
        if state is PresenceState.OCCUPIED or moving_since is None:
            return None
        stays = at - moving_since >= STAYS_AFTER and not self._motion.has_paused(at)
        return Verdict(PresenceState.OCCUPIED, moving_since) if stays else None

    def _reveals(self, reading: ZoneReading) -> Learn:
        """Whether the zone shows itself empty: somebody is gone from it, or was and left."""
        if reading.changed >= ENTER_SHARE and reading.outline <= -CLEAR_OUTLINE:
            return Learn.AT_ONCE
        mean = sum(self._outlines) / max(1, len(self._outlines))
        has_shown_somebody = len(self._outlines) >= 2 and mean >= CLEAR_OUTLINE
        is_as_at_first = reading.changed < LEAVE_SHARE and has_shown_somebody
        return Learn.CONFIRMED if is_as_at_first else Learn.NOTHING


def _shown_by(reading: ZoneReading, state: PresenceState) -> PresenceState:
    """What the reading alone says; between the thresholds it speaks for the present state."""
    if reading.changed >= ENTER_SHARE:
        return PresenceState.OCCUPIED
    if reading.is_hidden or reading.changed >= LEAVE_SHARE:
        return state
    return PresenceState.EMPTY
