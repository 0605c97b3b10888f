"""How many people wait in a zone: nobody, one, or two and more; more a camera can't honestly say.

Two separate figures are two people. One figure as broad as high is hardly one person, but people
behind each other are one figure, so that `ONE` is never certain. While presence is unknown nothing
is said: `presence.observed` says that.

How certain a band is, is a convention that orders them by how much to rely on them, and no measured
probability: see docs/decisions/0012-second-opinion.md.
"""

from datetime import datetime, timedelta

from edge_agent.core.desk_zones import Zone
from edge_agent.core.lasting import Lasting
from edge_agent.core.statements import Statement
from edge_agent.core.zone_evidence import DOUBTFUL, ENTER_SHARE
from edge_agent.core.zone_reading import ZoneReading
from event_protocol.events import PresenceState, QueueBand, QueueObserved
from event_protocol.names import DeskId

# Somebody standing is half as broad as high, seated or with both elbows out three quarters.
BROAD = 0.85
CHANGE_AFTER = timedelta(seconds=3)  # shorter, and two who pass each other are a queue
CERTAIN_ONE, CERTAIN_APART, CERTAIN_BROAD = 0.7, 0.85, 0.6
CERTAIN_HARDLY = 0.5  # somebody is there, but no figure stands out


class QueueTracker:
    """The queue of one waiting zone."""

    def __init__(self, desk: DeskId, zone: Zone) -> None:
        self._desk, self._zone = desk, zone
        self._band: QueueBand | None = None
        self._shown: Lasting[QueueBand] = Lasting()

    def observe(
        self, reading: ZoneReading | None, presence: PresenceState, at: datetime
    ) -> list[Statement]:
        """Take in a zone's reading and what is known of its presence."""
        if reading is None or presence is PresenceState.UNKNOWN:
            self._band = None  # said anew when it is known again
            self._shown.forget()
            return []
        band, confidence = _count(reading, presence)
        if reading.is_hidden or not reading.is_calibrated:
            confidence = min(confidence, DOUBTFUL)
        if band is self._band:
            self._shown.forget()
            return []
        since = self._shown.show(band, at)
        if self._band is not None and at - since < CHANGE_AFTER:
            return []
        self._band = band
        self._shown.forget()
        data = QueueObserved(zone=self._zone.name, band=band, since=since, confidence=confidence)
        return [Statement(self._desk, at, data)]


def _count(reading: ZoneReading, presence: PresenceState) -> tuple[QueueBand, float]:
    if presence is PresenceState.EMPTY:
        return QueueBand.NONE, round(1 - 0.5 * min(1.0, reading.changed / ENTER_SHARE), 2)
    people = [figure for figure in reading.figures if figure.share >= ENTER_SHARE]
    if len(people) > 1:
        return QueueBand.SEVERAL, CERTAIN_APART
    if people and people[0].breadth >= BROAD:
        return QueueBand.SEVERAL, CERTAIN_BROAD
    return QueueBand.ONE, CERTAIN_ONE if people else CERTAIN_HARDLY
