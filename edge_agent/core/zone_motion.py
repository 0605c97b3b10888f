"""How long a zone has kept still, and what is left in it when most of somebody is gone.

Pure accounts of readings over time; what follows from them is weighed in `zone_evidence.py`.
"""

from datetime import datetime, timedelta

from edge_agent.core.zone_reading import ZoneReading
from event_protocol.events import PresenceState

# A head that turns moves 1 % of a zone drawn around one person, noise and compression less than a
# thousandth.
MOVING_SHARE = 0.003
PAUSE = timedelta(seconds=3)  # between two motions of somebody who stands and waits

# Of what the stay usually fills, and how soon that is known: who walks in fills more than who has
# sat down.
REMNANT = 0.35
USUAL_OVER = timedelta(seconds=5)
# A bag, a chair or lamplight that is left keeps still, apart from shadows of who is leaving;
# somebody who leans back does not for so long.
REMNANT_AFTER = timedelta(seconds=2.5)
REMNANT_CALM = 0.02


class ZoneMotion:
    """When something last moved in the zone, and since when it has done so again and again."""

    def __init__(self) -> None:
        self.still_since: datetime | None = None
        self.moving_since: datetime | None = None

    def observe(self, moving: float, began: datetime, at: datetime) -> None:
        """Take in the share that moved between `began` and `at`."""
        if self.still_since is None or at < self.still_since:
            self.still_since, self.moving_since = began, None
        if moving >= MOVING_SHARE:
            if self.moving_since is None or self.has_paused(at):
                self.moving_since = began
            self.still_since = at

    def still_for(self, at: datetime) -> timedelta:
        """How long nothing has moved."""
        return at - (self.still_since or at)

    def has_paused(self, at: datetime) -> bool:
        """The motion is over, or a new one."""
        return self.still_for(at) > PAUSE

    def was_after(self, at: datetime) -> bool:
        """Something moved later than that."""
        return self.still_since is not None and self.still_since > at


class Remnant:
    """What is far less than the stay usually fills, and how long it has been calm."""

    def __init__(self) -> None:
        self.since: datetime | None = None
        self._calm_since: datetime | None = None
        self._usual = 0.0

    def observe(
        self, reading: ZoneReading, state: PresenceState, began: datetime, step: timedelta
    ) -> None:
        """Take in the reading of a frame that came `step` after the last."""
        if state is not PresenceState.OCCUPIED:
            self.since, self._calm_since, self._usual = None, None, 0.0
            return
        self._usual = self._usual or reading.changed
        is_low = reading.changed < REMNANT * self._usual
        self.since = (self.since or began) if is_low else None
        is_calm = is_low and reading.moving < REMNANT_CALM
        self._calm_since = (self._calm_since or began) if is_calm else None
        if not is_low:
            self._usual += (reading.changed - self._usual) * min(1.0, step / USUAL_OVER)

    def lasts(self, at: datetime) -> bool:
        """It has been calm for long enough to be no part of anybody."""
        return self._calm_since is not None and at - self._calm_since >= REMNANT_AFTER

    def left_at(self, seen_until: datetime) -> datetime:
        """When most of somebody was gone; shadows and what was left behind are seen longer."""
        if self.since is None:
            return seen_until
        return max(min(seen_until, self.since), seen_until - PAUSE)
